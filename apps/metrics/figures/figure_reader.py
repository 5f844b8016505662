"""Reading figures: what is wanted of which populations, and the values that follow from what is found."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property, partial
from statistics import median
from typing import Any

from apps.metrics.completeness import Completeness
from apps.metrics.figures.dimensions import DIMENSIONS, filters_of
from apps.metrics.figures.figure import Figure, Measure
from apps.metrics.figures.figure_query import FigureQuery
from apps.metrics.figures.figure_result import Bin, FigureReading, Group, Point
from apps.metrics.figures.registry import FIGURES, figure_of
from apps.metrics.figures.sql_statement import (
    NO_ROWS,
    QUANTILES,
    Aggregates,
    Detail,
    Found,
    Question,
    Wanted,
    Wants,
    read,
)
from apps.metrics.figures.suppression import PRIVATE, dimension_of, least_of, suppress, whole_of
from apps.metrics.figures.windows import Granularity, Window

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BINS: Mapping[str, tuple[float, ...]] = {
    "seconds": (
        *(0.0, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR),
        *(DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 56 * DAY),
    ),
    "lines": (0.0, 1.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0),
    "attempts": (1.0, 2.0, 3.0, 4.0, 5.0, 10.0),
    "rounds": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0),
}
"""Where the bins of histograms begin, by unit."""
WANTS = {
    Measure.DISTRIBUTION: Wants.DISTRIBUTION,
    Measure.SHARE: Wants.SUM,
    Measure.PER_ACCOUNT: Wants.ACCOUNTS,
    Measure.DAYS_PER_WEEK: Wants.DAYS,
}
DAYS_OF_A_WEEK = 7


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked for beside the values of the whole window."""

    granularity: Granularity | None = None
    group_by: str = ""
    quantiles: tuple[float, ...] = ()
    has_histogram: bool = False
    has_exclusions: bool = False


VALUE_ONLY = Asked()


def read_figure(key: str, query: FigureQuery, *, asked: Asked = VALUE_ONLY) -> FigureReading:
    """Compute one figure."""
    [reading] = read_figures(query, keys=[key], asked=asked)
    return reading


def read_figures(
    query: FigureQuery, *, keys: Iterable[str] | None = None, asked: Asked = VALUE_ONLY
) -> list[FigureReading]:
    """Compute several figures in one statement, in the order of the registry or of the names.

    By default, these are all that have the dimensions and the variant that are asked for.
    """
    [readings] = read_together([(query, asked)], keys=keys)
    return readings


def read_together(
    questions: Sequence[tuple[FigureQuery, Asked]], *, keys: Iterable[str] | None = None
) -> list[list[FigureReading]]:
    """Compute the same figures for several queries, such as a window and the one before, in one statement."""
    first, asked = questions[0]
    figures = figures_for(first, keys=keys, group_by=asked.group_by)
    found = read([_question(figures, query=query, asked=asked) for query, asked in questions])
    return [
        _suppressed(list(_readings(figures, query=query, asked=asked, found=each)), query=query, asked=asked)
        for (query, asked), each in zip(questions, found, strict=True)
    ]


def _suppressed(readings: list[FigureReading], *, query: FigureQuery, asked: Asked) -> list[FigureReading]:
    """Return the readings without what few rows come to; of a person or of evidence, beside those of everybody."""
    whole = whole_of(query)
    if (whole is None and asked.group_by not in PRIVATE) or least_of(query) <= 1:
        return readings
    of_everybody = dict[str, FigureReading]()
    if whole is not None:
        by_group = Asked(group_by=dimension_of(query))
        [found] = read_together([(whole, by_group)], keys=[one.figure for one in readings])
        of_everybody = {one.figure: one for one in found}
    return [suppress(one, query=query, group_by=asked.group_by, whole=of_everybody.get(one.figure)) for one in readings]


def _question(figures: Sequence[Figure], *, query: FigureQuery, asked: Asked) -> Question:
    detail = Detail(
        buckets=tuple((one.start_at, one.end_at) for one in _buckets(query, asked)),
        dimension=asked.group_by,
        quantiles=(*QUANTILES, *asked.quantiles),
        bins=_bins(figures) if asked.has_histogram else {},
        has_exclusions=asked.has_exclusions,
    )
    wanted = [one for figure in figures for one in _wanted(figure, asked=asked)]
    return Question(wanted=wanted, query=query, detail=detail)


def _readings(
    figures: Sequence[Figure], *, query: FigureQuery, asked: Asked, found: Mapping[str, Found]
) -> Iterator[FigureReading]:
    whole = Span(window=query.window, end_at=query.end_at)
    buckets = tuple(
        Span(window=one, end_at=query.end_at, granularity=asked.granularity) for one in _buckets(query, asked)
    )
    by_figure = completeness_by_figure(query, keys=[one.key for one in figures]) if buckets else {}
    alike = {id(one): one for one in by_figure.values()}
    complete = {key: [_is_bucket_complete(one, window=span.window) for span in buckets] for key, one in alike.items()}
    names = _names_of_groups(found, group_by=asked.group_by)
    for figure in figures:
        of_buckets = complete[id(by_figure[figure.key])] if buckets else []
        yield ResultBuilder(
            figure=figure,
            query=query,
            asked=asked,
            found=found,
            whole=whole,
            buckets=buckets,
            complete=of_buckets,
            names=names,
        ).reading()


def _buckets(query: FigureQuery, asked: Asked) -> tuple[Window, ...]:
    return query.window.buckets(asked.granularity) if asked.granularity else ()


def figures_for(query: FigureQuery, *, keys: Iterable[str] | None, group_by: str = "") -> list[Figure]:
    """Return the figures of these keys, or all that have the dimensions and the variant."""
    if keys is not None:
        return [figure_of(key, variant=query.variant) for key in keys]
    needed = {*filters_of(query), *([group_by] if group_by else [])}
    fitting = (one for one in FIGURES.values() if needed <= {*one.dimensions})
    chosen = (one for one in fitting if not query.variant or query.variant in one.variants)
    return [figure_of(one.key, variant=query.variant) for one in chosen]


def _wanted(figure: Figure, *, asked: Asked) -> Iterator[Wanted]:
    wants = WANTS.get(figure.measure, Wants.COUNT)
    yield Wanted(key=figure.key, population=figure.population, wants=wants, remarks=figure.remarks)
    for place, population in enumerate(figure.over):
        yield Wanted(key=f"{figure.key}/over/{place}", population=population)
    if asked.has_exclusions:
        for reason, population in figure.also_excluded.items():
            yield Wanted(key=f"{figure.key}/excluded/{reason}", population=population)


def _bins(figures: Iterable[Figure]) -> dict[str, tuple[float, ...]]:
    return {one.key: BINS[one.unit] for one in figures if one.measure is Measure.DISTRIBUTION}


def _names_of_groups(found: Mapping[str, Found], *, group_by: str) -> Mapping[str, str]:
    if not group_by:
        return {}
    return DIMENSIONS[group_by].names(sorted({key for one in found.values() for key in one.groups if key}))


@dataclass(frozen=True, kw_only=True)
class Span:
    """The window of a query or a bucket of its series, for all figures; it may not have ended or begun by `end_at`."""

    window: Window
    end_at: datetime
    granularity: Granularity | None = None

    @cached_property
    def has_begun(self) -> bool:
        return self.window.start_at < self.end_at

    @cached_property
    def is_partial(self) -> bool:
        """Return whether it has not ended, or is not a whole day, week or month."""
        has_ended = self.window.end_at <= self.end_at
        return not has_ended or self.granularity is None or not self.window.is_whole(self.granularity)

    @cached_property
    def days(self) -> int:
        """Return how many of its days have begun."""
        return self.window.days_begun(self.end_at)

    @cached_property
    def weeks(self) -> tuple[Window, ...]:
        """Return the weeks in it that are whole and have ended."""
        weeks = self.window.weeks()
        return tuple(one for one in weeks if one.days == DAYS_OF_A_WEEK and one.end_at <= self.end_at)


Take = Callable[[Found], Aggregates]


def _whole(found: Found) -> Aggregates:
    return found.whole


def _bucket(place: int, found: Found) -> Aggregates:
    return found.buckets.get(place, NO_ROWS)


def _group(key: str, found: Found) -> Aggregates:
    return found.groups.get(key, NO_ROWS)


@dataclass(frozen=True, kw_only=True)
class ResultBuilder:
    """Computes the reading of one figure of what was found."""

    figure: Figure
    query: FigureQuery
    asked: Asked
    found: Mapping[str, Found]
    whole: Span
    buckets: tuple[Span, ...]
    complete: Sequence[bool | None]
    names: Mapping[str, str]

    def reading(self) -> FigureReading:
        own = self.found[self.figure.key]
        if self.reason:
            return self.reading_without_value()
        return FigureReading(
            figure=self.figure.key,
            unit=self.figure.unit,
            n=own.whole["n"],
            remarks={name: own.whole.get(f"remark_{name}", 0) for name in self.figure.remarks},
            quantiles=self.quantiles(own.whole) if self.asked.quantiles else None,
            series=tuple(self.series()) if self.asked.granularity else None,
            groups=tuple(self.groups()) if self.asked.group_by else None,
            histogram=self.histogram(own) if self.asked.has_histogram else None,
            excluded=self.excluded(own) if self.asked.has_exclusions else None,
            **self.values(_whole, span=self.whole),
        )

    @cached_property
    def reason(self) -> str:
        """Return why there is no value where nothing counts; empty where that is 0."""
        has_rows = self.found[self.figure.key].whole["n"]
        if has_rows or not self.figure.needs_source:
            return ""
        return self.query.lack_of(self.figure.population.rows.table)

    def reading_without_value(self) -> FigureReading:
        return FigureReading(
            figure=self.figure.key,
            unit=self.figure.unit,
            value=None,
            n=0,
            reason=self.reason,
            series=tuple(replace(point, value=None) for point in self.series()) if self.asked.granularity else None,
            groups=() if self.asked.group_by else None,
            excluded={} if self.asked.has_exclusions else None,
        )

    def values(self, take: Take, *, span: Span) -> dict[str, Any]:
        """Return the value and what it is made of, of the whole or of the part that is taken of what was found."""
        own = take(self.found[self.figure.key])
        found: dict[str, Any]
        match self.figure.measure:
            case Measure.COUNT:
                found = {"value": own["n"]}
            case Measure.DISTRIBUTION:
                middle, p75, p90, *_ = own.get("quantiles") or (None, None, None)
                found = {"value": middle, "mean": own.get("mean"), "median": middle, "p75": p75, "p90": p90}
            case Measure.PER_DAY:
                found = _quotient(own["n"], span.days)
            case Measure.PER_WEEK:
                per_week = own["n"] * DAYS_OF_A_WEEK / span.days if span.days else None
                found = {**_quotient(own["n"], span.days), "value": per_week}
            case Measure.DAYS_PER_WEEK:
                found = self.days_per_week(own, span=span)
            case Measure.PER_ACCOUNT:
                found = _quotient(own["n"], own.get("accounts", 0))
            case Measure.SHARE:
                found = _quotient(int(own.get("sum") or 0), own["n"])
            case Measure.RATIO:
                over = (f"{self.figure.key}/over/{place}" for place in range(len(self.figure.over)))
                found = _quotient(own["n"], sum(take(self.found[key])["n"] for key in over))
        return found

    def days_per_week(self, own: Aggregates, *, span: Span) -> dict[str, Any]:
        days = [date.fromisoformat(day) for day in own.get("days") or ()]
        counts = [sum(week.start <= day < week.end for day in days) for week in span.weeks]
        return {
            "value": float(median(counts)) if counts else None,
            "numerator": sum(counts),
            "denominator": len(counts),
        }

    def quantiles(self, own: Aggregates) -> dict[str, float | None]:
        """Return the quantiles that are asked for; None for each where there are no values."""
        found = (own.get("quantiles") or [])[len(QUANTILES) :] or [None] * len(self.asked.quantiles)
        return {f"{share:g}": value for share, value in zip(self.asked.quantiles, found, strict=True)}

    def series(self) -> Iterator[Point]:
        buckets = self.found[self.figure.key].buckets
        for place, (span, complete) in enumerate(zip(self.buckets, self.complete, strict=True), start=1):
            own = buckets.get(place, NO_ROWS)
            yield Point(
                start=span.window.start,
                end=span.window.end,
                n=own["n"] if span.has_begun else 0,
                value=self.values(partial(_bucket, place), span=span)["value"] if span.has_begun else None,
                partial=span.is_partial,
                complete=complete,
            )

    def groups(self) -> Iterator[Group]:
        own = self.found[self.figure.key].groups
        for key, aggregates in sorted(own.items(), key=lambda one: (-one[1]["n"], self.names.get(one[0], one[0]))):
            if aggregates["n"]:
                values = self.values(partial(_group, key), span=self.whole)
                yield Group(
                    key=key,
                    name=self.names.get(key, key),
                    n=aggregates["n"],
                    value=values["value"],
                    quantiles=self.quantiles(aggregates),
                )

    def histogram(self, own: Found) -> tuple[Bin, ...] | None:
        if self.figure.measure is not Measure.DISTRIBUTION:
            return None
        bounds = BINS[self.figure.unit]
        ends = (*bounds[1:], None)
        return tuple(
            Bin(start=start, end=end, n=own.bins.get(place, 0))
            for place, (start, end) in enumerate(zip(bounds, ends, strict=True), start=1)
        )

    def excluded(self, own: Found) -> dict[str, int]:
        """Return the numbers of rows that do not count, by reason; what is not left out has no reason."""
        others = {one: self.found[f"{self.figure.key}/excluded/{one}"].whole["n"] for one in self.figure.also_excluded}
        found = {**own.excluded, **{reason: n for reason, n in others.items() if n}}
        return {reason: found[reason] for reason in self.figure.reasons if reason in found}


def _quotient(numerator: int, denominator: int) -> dict[str, Any]:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def _is_bucket_complete(found: Completeness, *, window: Window) -> bool | None:
    """Return whether everything of the bucket is stored; None if unverified."""
    if found.complete_until is None:
        return None
    overlapping = (gap for gap in found.gaps if gap.from_at < window.end_at and gap.to_at > window.start_at)
    return window.end_at <= found.complete_until and not any(overlapping)


def completeness_of(query: FigureQuery, *, keys: Iterable[str] | None = None) -> Completeness:
    """Return the completeness of all figures together, or of those named, in the window."""
    figures = [figure_of(key) for key in (FIGURES if keys is None else keys)]
    streams = dict.fromkeys(stream for figure in figures for stream in figure.streams)
    return query.report.of_team(start_at=query.window.start_at, end_at=query.end_at, streams=tuple(streams))


def completeness_by_figure(query: FigureQuery, *, keys: Iterable[str] | None = None) -> dict[str, Completeness]:
    """Return the completeness of each figure, or of those named, by its own streams."""
    found: dict[tuple[Any, ...], Completeness] = {}
    by_figure: dict[str, Completeness] = {}
    for key in FIGURES if keys is None else keys:
        figure = figure_of(key)
        alike = figure.streams, figure.looks_back
        if alike not in found:
            found[alike] = _of_figure(figure, query=query)
        by_figure[key] = found[alike]
    return by_figure


def is_complete(found: Completeness, *, query: FigureQuery) -> bool | None:
    """Return whether everything up to the end of the query was read; None if unverified."""
    if found.complete_until is None:
        return None
    return query.end_at <= found.complete_until and not found.gaps


def _of_figure(figure: Figure, *, query: FigureQuery) -> Completeness:
    start_at = None if figure.looks_back else query.window.start_at
    return query.report.of_team(start_at=start_at, end_at=query.end_at, streams=figure.streams)
