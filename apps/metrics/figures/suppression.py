"""Suppression of small groups: what few rows of a person, or with evidence of AI, come to is not shown across teams.

A team's own figures, and the lists behind them, are never suppressed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from django.conf import settings

from apps.metrics.figures.dimensions import DIMENSIONS
from apps.metrics.figures.entities import Listing, count_entities
from apps.metrics.figures.figure_query import FigureQuery
from apps.metrics.figures.figure_result import Bin, FigureReading, Group, Point
from apps.metrics.figures.filter_values import AI

Key = TypeVar("Key")
PRIVATE = frozenset({"author", "ai"})
"""The dimensions whose groups are of a person or of evidence."""
SUPPRESSED = "suppressed"
AI_KEYS: Mapping[AI | None, str] = {AI.NONE: ""}
"""The keys of groups of evidence that are no kind of it."""


def least_of(query: FigureQuery) -> int:
    """Return of how many rows a part is shown: of more in the team of an account that has other teams too."""
    least: int = settings.SMALLEST_GROUP_ACROSS_TEAMS if query.team.is_divided else settings.SMALLEST_GROUP
    return least


def dimension_of(query: FigureQuery) -> str:
    """Return the dimension that a part of a whole is a group of."""
    return "author" if query.author else "ai"


def whole_of(query: FigureQuery) -> FigureQuery | None:
    """Return the query of everybody, if this one is of a person or of evidence; nobody's own work is kept from them."""
    if query.is_of_oneself or (query.author is None and query.ai is None):
        return None
    of_everybody = replace(query, author=None, ai=None, origin=query)
    return of_everybody.knowing(repositories=query.repositories, memberships=query.memberships)


def is_small(n: int, *, whole: int, least: int) -> bool:
    """Return whether a part of a whole has few rows, or leaves few."""
    return 0 < n < least or 0 < whole - n < least


def suppressed_parts(counts: Mapping[Key, int], *, least: int) -> frozenset[Key]:
    """Return the parts that are not shown: those of few rows, and so many more that the whole does not show them."""
    found: list[Key] = []
    for key in sorted((key for key, n in counts.items() if n), key=lambda key: counts[key]):
        is_needed = bool(found) and (len(found) == 1 or sum(counts[each] for each in found) < least)
        if counts[key] >= least and not is_needed:
            break
        found.append(key)
    return frozenset(found)


def suppress(
    reading: FigureReading, *, query: FigureQuery, group_by: str, whole: FigureReading | None
) -> FigureReading:
    """Return the reading without what few rows come to.

    `whole` is the reading of everybody, by groups, if this one is of a person or of evidence.
    """
    least = least_of(query)
    if whole is not None and _is_hidden(reading, query=query, whole=whole, least=least):
        return _without_value(reading)
    changed: dict[str, Any] = {}
    if reading.groups is not None and (whole is not None or group_by in PRIVATE):
        changed["groups"] = _groups(reading, least=least, has_many=DIMENSIONS[group_by].has_many)
    if whole is not None:
        changed |= _parts(reading, least=least)
    return replace(reading, **changed)


def is_list_suppressed(reading: FigureReading, query: FigureQuery, *, listing: Listing) -> bool:
    """Return whether the list behind the reading is not shown; what is searched for in it does not matter."""
    whole = whole_of(query)
    if reading.is_suppressed or not listing.excluded or whole is None or (least := least_of(query)) <= 1:
        return reading.is_suppressed
    excluded = Listing(excluded=listing.excluded)
    n, of_everybody = (count_entities(reading.figure, one, listing=excluded) for one in (query, whole))
    return is_small(n, whole=of_everybody, least=least)


def words_of(least: int) -> str:
    """Return why something is not shown."""
    return (
        f"Fewer than {least} of one person or kind of evidence, or of all others, are not shown in the team of an "
        "account that has other teams. Use a longer period, or one of those teams."
    )


def _is_hidden(reading: FigureReading, *, query: FigureQuery, whole: FigureReading, least: int) -> bool:
    """Return whether it has too few rows, leaves too few, or is a group that is not shown among all."""
    keys = {str(query.author.contributor_id), query.author.login} if query.author else {AI_KEYS.get(query.ai, query.ai)}
    is_hidden_group = any(group.is_suppressed for group in whole.groups or () if group.key in keys)
    return is_hidden_group or is_small(reading.n, whole=whole.n, least=least)


def _groups(reading: FigureReading, *, least: int, has_many: bool) -> tuple[Group, ...]:
    """Return the groups, the suppressed ones last and by name."""
    counts = {group.key: group.n for group in reading.groups or ()}
    if has_many:  # the groups overlap: each is compared with all others
        hidden = frozenset(key for key, n in counts.items() if is_small(n, whole=reading.n, least=least))
    else:
        hidden = suppressed_parts(counts, least=least)
    shown = [group for group in reading.groups or () if group.key not in hidden]
    others = sorted((group for group in reading.groups or () if group.key in hidden), key=lambda one: one.name)
    return (*shown, *(_empty_group(group) for group in others))


def _empty_group(group: Group) -> Group:
    return replace(group, n=0, value=None, quantiles=dict.fromkeys(group.quantiles), is_suppressed=True)


def _parts(reading: FigureReading, *, least: int) -> dict[str, Any]:
    """Return the series, histogram and exclusions without their small parts."""
    points, bins = dict(enumerate(reading.series or ())), dict(enumerate(reading.histogram or ()))
    small_points, small_bins = (
        suppressed_parts({place: one.n for place, one in parts.items()}, least=least) for parts in (points, bins)
    )
    has_few = any(0 < n < least for n in (reading.excluded or {}).values())
    return {
        "series": reading.series and tuple(_point(one) if i in small_points else one for i, one in points.items()),
        "histogram": reading.histogram and tuple(_bin(one) if i in small_bins else one for i, one in bins.items()),
        "excluded": None if has_few else reading.excluded,
    }


def _point(point: Point) -> Point:
    return replace(point, n=0, value=None, is_suppressed=True)


def _bin(one: Bin) -> Bin:
    return replace(one, n=0, is_suppressed=True)


def _without_value(reading: FigureReading) -> FigureReading:
    return FigureReading(
        figure=reading.figure,
        unit=reading.unit,
        value=None,
        n=0,
        reason=SUPPRESSED,
        is_suppressed=True,
        quantiles=reading.quantiles and dict.fromkeys(reading.quantiles),
        series=reading.series and tuple(map(_point, reading.series)),
        groups=reading.groups and tuple(map(_empty_group, reading.groups)),
    )
