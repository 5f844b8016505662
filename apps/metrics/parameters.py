"""Parsing the parameters of figures from a URL; each error says what is accepted."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError

from apps.activity.models import Repository
from apps.metrics.figures import FIGURES, Bots, FigureQuery, Window
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

DEFAULT_WINDOW = "30d"
LONGEST_DAYS = 3660
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # where Git's own time begins


def query_of(team: Team, parameters: QueryDict) -> FigureQuery:
    """Return the query of a URL's parameters; ValidationError names the parameter and what it accepts."""
    as_of = as_of_in(parameters)
    chosen: dict[str, Any] = {"as_of": as_of} if as_of else {}
    return FigureQuery(
        team=team,
        window=window_in(parameters, time_zone=team.time_zone, now=as_of),
        bots=bots_in(parameters),
        repository_ids=repositories_in(parameters, team=team),
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
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        words = f"{text!r} is not a date." if text else "from and to must be used together."
        raise ValidationError({name: [f"{words} Use the format 2026-03-02."]}) from error
    if not EARLIEST.year <= day.year < date.max.year:  # time zones reach into the neighbouring year
        raise ValidationError({name: [f"{text} is out of range: use a date from {EARLIEST:%Y-%m-%d} on."]})
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


def bots_in(parameters: QueryDict) -> Bots:
    text = parameters.get("bots") or Bots.EXCLUDE
    try:
        return Bots(text)
    except ValueError as error:
        raise ValidationError({"bots": [f"{text!r} is not one of {', '.join(Bots)}."]}) from error


def repositories_in(parameters: QueryDict, *, team: Team) -> tuple[int, ...] | None:
    """Return the ids of the repositories named by id or full name; None when none is named."""
    names = split_values(parameters.getlist("repository"))
    if not names:
        return None
    tracked = repositories_of(Team.objects.filter(pk=team.pk))
    return tuple(dict.fromkeys(find_repository(tracked, name) for name in names))


def narrowed(parameters: QueryDict, *, team: Team) -> QueryDict | None:
    """Return the parameters with only the repositories that the team tracks; None if it tracks none of them."""
    names = split_values(parameters.getlist("repository"))
    if not names:
        return parameters
    tracked = repositories_of(Team.objects.filter(pk=team.pk))
    found = [name for name in names if repositories_named(tracked, name).exists()]
    kept = parameters.copy()
    kept.setlist("repository", found)
    return kept if found else None


def repositories_named(tracked: Any, name: str) -> Any:
    if "\0" in name:  # PostgreSQL has no text with a NUL
        return tracked.none()
    return tracked.filter(Repository.with_id_or_name(name))


def find_repository(tracked: Any, name: str) -> int:
    found: int | None = repositories_named(tracked, name).values_list("pk", flat=True).first()
    if found is None:
        words = f"The team does not track the repository {name!r}. Use GitHub's id, or a name like acme/api."
        raise ValidationError({"repository": [words]})
    return found


def figures_in(parameters: QueryDict) -> Sequence[str]:
    """Return the requested keys, each of the registry; all of them when none is named."""
    keys = split_values(parameters.getlist("figure"))
    for key in keys:
        if key not in FIGURES:
            raise ValidationError({"figure": [f"There is no figure {key!r}. Figures: {', '.join(FIGURES)}."]})
    return list(dict.fromkeys(keys)) or list(FIGURES)


def split_values(values: list[str]) -> list[str]:
    """Return the values of a parameter that may be repeated or separated by commas."""
    return [part for value in values for text in value.split(",") if (part := text.strip())]
