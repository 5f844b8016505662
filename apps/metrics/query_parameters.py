"""Parsing the parameters of figures from a URL; each error says what is accepted."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from allauth.socialaccount.models import SocialAccount
from django.core.exceptions import PermissionDenied
from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError

from apps.activity.models import Repository
from apps.common.api import truth_in
from apps.common.db import is_id
from apps.metrics.figures import AI, FIGURES, Asked, Bots, Figure, FigureQuery, Granularity, Hours, Window
from apps.metrics.figures.dimensions import DIMENSIONS, OF_REPOSITORY, filters_of
from apps.metrics.figures.entities import ORDERINGS, Listing
from apps.metrics.figures.figure_reader import figures_for
from apps.metrics.figures.filter_values import Account, Attribution
from apps.metrics.figures.registry import VARIANTS
from apps.teams.models import Team
from apps.teams.visibility import contributors_of, repositories_of
from apps.users.access import is_operator

DEFAULT_WINDOW = "30d"
LONGEST_DAYS = 3660
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # where Git's own time begins
MOST_BUCKETS = 400
MOST_QUANTILES = 10
PREVIOUS = "previous"
OF_PEOPLE = "author"
ONLY_ONESELF = (
    "Figures of a person are for that person, who signs in with GitHub, and for leads and admins of the team. "
    "Leave out author and group_by=author, or use your own login."
)


Choice = TypeVar("Choice", bound=StrEnum)


def query_of(team: Team, parameters: QueryDict, *, user: Any) -> FigureQuery:
    """Return the query of a URL's parameters; ValidationError names the parameter and what it accepts.

    Figures of one person are for that person, and for those who may see those of all.
    """
    as_of = as_of_in(parameters)
    chosen: dict[str, Any] = {"as_of": as_of} if as_of else {}
    author = author_in(parameters, team=team, user=user)
    return FigureQuery(
        team=team,
        window=window_in(parameters, time_zone=team.time_zone, now=as_of),
        bots=one_of(Bots, "bots", parameters),
        agents=one_of(Bots, "agents", parameters) if parameters.get("agents") else None,
        repository_ids=repositories_in(parameters, team=team),
        author=author,
        is_of_oneself=author is not None and author.contributor_id in own_accounts(user),
        labels=labels_in(parameters),
        ai=one_of(AI, "ai", parameters) if parameters.get("ai") else None,
        variant=variant_in(parameters),
        services=services_in(parameters, team=team),
        hours=one_of(Hours, "hours", parameters),
        attribution=one_of(Attribution, "attribution", parameters),
        **chosen,
    )


def window_in(parameters: QueryDict, *, time_zone: str, now: datetime | None) -> Window:
    if "from" not in parameters and "to" not in parameters:
        name = parameters.get("window") or DEFAULT_WINDOW
        try:
            return Window.named(name, time_zone=time_zone, now=now)
        except ValueError as error:
            raise ValidationError({"window": [f"{error} Or use from=2026-03-02&to=2026-03-09."]}) from error
    if parameters.get("window"):
        raise ValidationError({"window": ["Use either window, or from and to, not both."]})
    start, end = day_in(parameters, "from"), day_in(parameters, "to")
    if start >= end:
        raise ValidationError({"to": [f"'to' must be after 'from' ({start})."]})
    if (end - start).days > LONGEST_DAYS:
        raise ValidationError({"from": [f"A period can have at most {LONGEST_DAYS} days."]})
    return Window(start=start, end=end, time_zone=time_zone)


def day_in(parameters: QueryDict, name: str) -> date:
    text = parameters.get(name, "")
    if not text:
        raise ValidationError({name: ["from and to must be used together. Use the format 2026-03-02."]})
    try:
        return parse_day(text)
    except DayOutOfRangeError as error:
        raise ValidationError({name: [str(error)]}) from error
    except ValueError as error:
        raise ValidationError({name: [f"{text!r} is not a date. Use the format 2026-03-02."]}) from error


class DayOutOfRangeError(ValueError):
    """The day is too early or too late."""


def parse_day(text: str) -> date:
    day = date.fromisoformat(text)
    if not EARLIEST.year <= day.year < date.max.year:  # time zones reach into the neighbouring year
        raise DayOutOfRangeError(f"{text} is out of range: use a date from {EARLIEST:%Y-%m-%d} on.")
    return day


def as_of_in(parameters: QueryDict) -> datetime | None:
    text = parameters.get("as_of", "")
    if not text:
        return None
    try:
        instant = parse_datetime(text.replace(" ", "+"))  # a bare + in an address arrives as a space
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        accepted = "Use a date and time with a time zone, like 2026-03-04T23:00:00Z."
        raise ValidationError({"as_of": [f"{text!r} is not a date and time. {accepted}"]})
    if instant > datetime.now(UTC):
        raise ValidationError({"as_of": ["It must not be in the future."]})
    if instant < EARLIEST:
        raise ValidationError({"as_of": [f"{text} is out of range: use {EARLIEST:%Y-%m-%d} or later."]})
    return instant


def one_of(kind: type[Choice], name: str, parameters: QueryDict) -> Choice:
    """Return the choice of a parameter; the first of them if there is none."""
    text = parameters.get(name) or next(iter(kind))
    try:
        return kind(text)
    except ValueError as error:
        raise ValidationError({name: [f"{text!r} is not one of {', '.join(kind)}."]}) from error


def author_in(parameters: QueryDict, *, team: Team, user: Any) -> Account | None:
    login = parameters.get("author", "")
    if not login:
        return None
    known = contributors_of(Team.objects.filter(pk=team.pk))
    found = None if "\0" in login else known.filter(login__iexact=login).first()
    if found is None:
        where = f"Use a login of /api/v1/teams/{team.slug}/contributors/."
        raise ValidationError({"author": [f"No account {login!r} belongs to the team or its repositories. {where}"]})
    if not may_see_people(user, team=team) and found.pk not in own_accounts(user):
        raise PermissionDenied(ONLY_ONESELF)
    return Account(login=found.login, contributor_id=found.pk)


def labels_in(parameters: QueryDict) -> tuple[str, ...]:
    """Return the labels that pull requests must all have."""
    labels = tuple(dict.fromkeys(label for label in parameters.getlist("label") if label))
    if any("\0" in label for label in labels):
        raise ValidationError({"label": ["A label has no NUL. Use the name of a label; repeat it for several."]})
    return labels


def variant_in(parameters: QueryDict) -> str:
    text = parameters.get("variant", "")
    if text and text not in VARIANTS:
        raise ValidationError({"variant": [f"{text!r} is not one of {', '.join(VARIANTS)}."]})
    return text


def services_in(parameters: QueryDict, *, team: Team) -> tuple[str, ...]:
    """Return the services whose deployments count, by key or name of the groups of `group_by=service`."""
    names = dict.fromkeys(name for name in parameters.getlist("service") if name)
    if any("\0" in name for name in names):
        raise ValidationError({"service": ["A service has no NUL. Use the name of a group of group_by=service."]})
    if not names:
        return ()
    tracked = repositories_of(Team.objects.filter(pk=team.pk)).filter(full_name__in=names)
    of_repositories = {name: f"{OF_REPOSITORY}{pk}" for pk, name in tracked.values_list("pk", "full_name")}
    return tuple(of_repositories.get(name, name) for name in names)


def asked_in(parameters: QueryDict, *, query: FigureQuery, user: Any, is_detailed: bool) -> Asked:
    """Return what is asked for beside the values: series, groups, quantiles, and the rest if it is detailed."""
    return Asked(
        granularity=granularity_in(parameters, window=query.window),
        group_by=group_by_in(parameters, team=query.team, user=user),
        quantiles=quantiles_in(parameters),
        has_histogram=is_detailed,
        has_exclusions=is_detailed,
    )


def granularity_in(parameters: QueryDict, *, window: Window) -> Granularity | None:
    text = parameters.get("granularity", "")
    if not text:
        return None
    try:
        granularity = Granularity(text)
    except ValueError as error:
        raise ValidationError({"granularity": [f"{text!r} is not one of {', '.join(Granularity)}."]}) from error
    if len(window.buckets(granularity)) > MOST_BUCKETS:
        words = f"A series has at most {MOST_BUCKETS} buckets. Use a longer granularity or a shorter period."
        raise ValidationError({"granularity": [words]})
    return granularity


def group_by_in(parameters: QueryDict, *, team: Team, user: Any) -> str:
    text = parameters.get("group_by", "")
    if text and text not in DIMENSIONS:
        raise ValidationError({"group_by": [f"{text!r} is not one of {', '.join(DIMENSIONS)}."]})
    if text == OF_PEOPLE and not may_see_people(user, team=team):
        raise PermissionDenied(ONLY_ONESELF)
    return text


def quantiles_in(parameters: QueryDict) -> tuple[float, ...]:
    texts = split_values(parameters.getlist("quantiles"))
    accepted = f"Use up to {MOST_QUANTILES} numbers from 0 to 1, like 0.5,0.9."
    try:
        shares = tuple(dict.fromkeys(float(text) for text in texts))
    except ValueError as error:
        raise ValidationError({"quantiles": [f"{', '.join(texts)} are not numbers. {accepted}"]}) from error
    if len(shares) > MOST_QUANTILES or not all(0 <= share <= 1 for share in shares):
        raise ValidationError({"quantiles": [accepted]})
    return shares


def compared_in(parameters: QueryDict, *, query: FigureQuery) -> FigureQuery | None:
    """Return the query of the period to compare with; None without any."""
    text = parameters.get("compare", "")
    is_previous = truth_in(parameters, "previous")
    if not text:
        return query.compared_with() if is_previous else None
    if is_previous and text != PREVIOUS:
        raise ValidationError({"compare": ["Use either previous=true or compare, not both."]})
    if text == PREVIOUS:
        return query.compared_with()
    start, _, end = text.partition("..")
    try:
        window = Window(start=parse_day(start), end=parse_day(end), time_zone=query.window.time_zone)
    except ValueError as error:
        accepted = "Use previous, or a first day and the day after the last one, like 2026-01-05..2026-01-12."
        raise ValidationError({"compare": [f"{text!r} is not a period. {accepted}"]}) from error
    if window.days > LONGEST_DAYS:
        raise ValidationError({"compare": [f"A period can have at most {LONGEST_DAYS} days."]})
    return query.compared_with(window)


def listing_in(parameters: QueryDict, *, figure: Figure) -> Listing:
    """Return which rows of the figure are listed, and in what order."""
    ordering, excluded = parameters.get("ordering") or ORDERINGS[0], parameters.get("excluded", "")
    if ordering not in ORDERINGS:
        raise ValidationError({"ordering": [f"{ordering!r} is not one of {', '.join(ORDERINGS)}."]})
    if excluded and excluded not in figure.reasons:
        known = ", ".join(figure.reasons) or "none"
        raise ValidationError({"excluded": [f"{excluded!r} is no reason for {figure.key}. Reasons: {known}."]})
    return Listing(
        excluded=excluded,
        ordering=ordering,
        search=search_in(parameters),
        least=number_in(parameters, "least"),
        below=number_in(parameters, "below"),
    )


def search_in(parameters: QueryDict) -> str:
    text = parameters.get("search", "").strip()
    if "\0" in text:
        raise ValidationError({"search": ["Use a part of the title, or a number."]})
    return text


def number_in(parameters: QueryDict, name: str) -> float | None:
    text = parameters.get(name, "")
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValidationError({name: [f"{text!r} is not a number. Use the unit of the figure, like 3600."]})
    return number


def ensure_fitting(keys: Sequence[str], *, query: FigureQuery, group_by: str = "") -> None:
    """Raise ValidationError if a figure lacks a dimension that is filtered or grouped by, or the variant."""
    for key in keys:
        figure = FIGURES[key]
        needed = {name: name for name in filters_of(query)} | ({"group_by": group_by} if group_by else {})
        for parameter, dimension in needed.items():
            if dimension not in figure.dimensions:
                words = f"{key} has no {dimension}. Its dimensions: {', '.join(figure.dimensions)}."
                raise ValidationError({parameter: [words]})
        if query.variant and query.variant not in figure.variants:
            having = ", ".join(one.key for one in FIGURES.values() if query.variant in one.variants)
            raise ValidationError(
                {"variant": [f"{key} has no variant {query.variant!r}. Figures that have it: {having}."]}
            )


def may_see_people(user: Any, *, team: Team) -> bool:
    """Return whether the user may see figures by person: operators, and leads and admins of the team."""
    return is_operator(user) or Team.objects.led_by(user).filter(pk=team.pk).exists()


def own_accounts(user: Any) -> set[int]:
    """Return the GitHub accounts that the user signs in with."""
    uids = SocialAccount.objects.filter(user=user, provider="github").values_list("uid", flat=True)
    return {int(uid) for uid in uids if is_id(uid)}


def repositories_in(parameters: QueryDict, *, team: Team) -> tuple[int, ...] | None:
    """Return the ids of the repositories named by id or full name; None when none is named."""
    names = split_values(parameters.getlist("repository"))
    if not names:
        return None
    tracked = repositories_of(Team.objects.filter(pk=team.pk))
    return tuple(dict.fromkeys(find_repository(tracked, name) for name in names))


def find_repository(tracked: Any, name: str) -> int:
    # PostgreSQL has no text with a NUL
    named = tracked.none() if "\0" in name else tracked.filter(Repository.with_id_or_name(name))
    found: int | None = named.values_list("pk", flat=True).first()
    if found is None:
        words = f"The team does not track the repository {name!r}. Use GitHub's id, or a name like acme/api."
        raise ValidationError({"repository": [words]})
    return found


def figures_in(parameters: QueryDict, *, query: FigureQuery, group_by: str = "") -> Sequence[str]:
    """Return the requested keys; without any, all that have the dimensions and the variant of the query."""
    keys = list(dict.fromkeys(split_values(parameters.getlist("figure"))))
    for key in keys:
        if key not in FIGURES:
            raise ValidationError({"figure": [f"There is no figure {key!r}. Figures: {', '.join(FIGURES)}."]})
    ensure_fitting(keys, query=query, group_by=group_by)
    return keys or [one.key for one in figures_for(query, keys=None, group_by=group_by)]


def split_values(values: list[str]) -> list[str]:
    """Return the values of a parameter that may be repeated or separated by commas."""
    return [part for value in values for text in value.split(",") if (part := text.strip())]
