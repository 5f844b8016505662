"""Filters of the pages of figures: they live in the URL, where only what differs from the default stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from rest_framework.exceptions import ValidationError

from apps.metrics.figures import AI, Attribution, Bots, FigureQuery, Granularity, Hours
from apps.metrics.query_parameters import parse_day

DEFAULTS: Mapping[str, str] = {
    "window": "30d",
    "bots": Bots.EXCLUDE,
    "hours": Hours.WALL,
    "attribution": Attribution.AT_EVENT,
    "section": "overview",
    "ordering": "-at",
    "sort": "name",
    "page": "1",
}
OF_LISTS = ("bucket", "excluded", "ordering", "search", "least", "below", "page")
"""The parameters of a list alone; a team's page has all the others."""
OF_PERIOD = ("window", "from", "to")
OF_FORM = (*OF_PERIOD, "last_day", "bots", "agents", "ai", "repository", "service", "label", "hours", "attribution")
WINDOWS = ("7d", "30d", "90d")

Option = tuple[str, str]
CHOICES: Sequence[tuple[str, str, Sequence[Option]]] = (
    ("bots", "Bots", ((Bots.EXCLUDE, "Without bots"), (Bots.INCLUDE, "With bots"), (Bots.ONLY, "Only bots"))),
    (
        "agents",
        "Coding agents",
        (
            ("", "Treat as bots"),
            (Bots.EXCLUDE, "Without agents"),
            (Bots.INCLUDE, "With agents"),
            (Bots.ONLY, "Only agents"),
        ),
    ),
    (
        "ai",
        "AI evidence",
        (
            ("", "All"),
            (AI.ANY, "Any evidence"),
            (AI.NONE, "No evidence"),
            (AI.AUTHORED, "Opened by an agent"),
            (AI.ASSISTED, "Assisted"),
            (AI.REVIEWED, "Reviewed"),
        ),
    ),
    (
        "attribution",
        "Members",
        ((Attribution.AT_EVENT, "In the team at the time"), (Attribution.CURRENT, "In the team now")),
    ),
    ("hours", "Durations in", ((Hours.WALL, "Calendar hours"), (Hours.WORKING, "Working hours"))),
    (
        "granularity",
        "Charts by",
        (("", "Automatic"), (Granularity.DAY, "Day"), (Granularity.WEEK, "Week"), (Granularity.MONTH, "Month")),
    ),
)
"""The filters with fixed choices: name, label and choices, the default first."""


def canonical(parameters: QueryDict) -> QueryDict:
    """Return the parameters without those that are the default, and the days of the form as those of the API."""
    kept = parameters.copy()
    if last_day := kept.pop("last_day", [""])[-1]:
        kept["to"] = _following(last_day)
    if kept.get("from") or kept.get("to"):
        kept.pop("window", None)
    for name in list(kept):
        values = [value for value in dict.fromkeys(kept.getlist(name)) if value and value != DEFAULTS.get(name)]
        if values:
            kept.setlist(name, values)
        else:
            kept.pop(name)
    return kept


def _following(day: str) -> str:
    """Return the day after; the text itself if it is no day, which is said where it is read."""
    try:
        return (parse_day(day) + timedelta(days=1)).isoformat()
    except ValueError:
        return day


def redirect_to_canonical(request: HttpRequest) -> HttpResponse | None:
    """Return a redirect to the URL with what differs from the default alone; None if it is that one."""
    kept = canonical(request.GET)
    if kept == request.GET:
        return None
    return redirect(address(request.path, kept))


def address(path: str, parameters: QueryDict) -> str:
    return f"{path}?{parameters.urlencode()}" if parameters else path


def changed(parameters: QueryDict, **values: str) -> QueryDict:
    """Return the parameters with some changed, without the page; an empty value leaves one out."""
    kept = parameters.copy()
    kept.pop("page", None)
    if {"window", "from"} & set(values):
        for name in OF_PERIOD:
            kept.pop(name, None)
    for name, value in values.items():
        kept[name] = value
    return canonical(kept)


def without(parameters: QueryDict, *names: str) -> QueryDict:
    kept = parameters.copy()
    for name in (*names, "page"):
        kept.pop(name, None)
    return kept


def in_bucket(parameters: QueryDict) -> QueryDict:
    """Return the parameters with the period of the bucket that a list is of, if it is of one."""
    start, _, end = parameters.get("bucket", "").partition("..")
    if not start:
        return parameters
    kept = without(parameters, "bucket", *OF_PERIOD)
    kept["from"], kept["to"] = start, end
    return kept


@dataclass(frozen=True)
class Control:
    """A filter with its choices."""

    name: str
    label: str
    chosen: str
    options: Sequence[Option]

    @property
    def is_changed(self) -> bool:
        return self.chosen != self.options[0][0]


MOST_LISTED = 100
"""So many repositories are listed to choose from."""


@dataclass(frozen=True, kw_only=True)
class FilterBar:
    """The controls above the figures of a team, as the URL has chosen."""

    parameters: QueryDict
    path: str
    query: FigureQuery
    repositories: Mapping[int, str]
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Labels and services that may be chosen."""

    @property
    def windows(self) -> list[tuple[str, str, bool]]:
        """Return the usual periods: what they are called, where they lead, and whether each is chosen."""
        return [(f"{name[:-1]} days", self.link(window=name), name == self.window) for name in WINDOWS]

    @property
    def window(self) -> str:
        """Return the name of the period; empty if it is from one day to another."""
        return "" if self.is_custom else self.parameters.get("window", DEFAULTS["window"])

    @property
    def is_custom(self) -> bool:
        return "from" in self.parameters or "to" in self.parameters

    @property
    def controls(self) -> list[Control]:
        return [
            Control(name, label, self.parameters.get(name, options[0][0]), options) for name, label, options in CHOICES
        ]

    @property
    def chips(self) -> list[tuple[str, str]]:
        """Return what is filtered by, beside the period, with the URL without it."""
        chips = [
            (f"{control.label}: {dict(control.options)[control.chosen]}", self.link(**{control.name: ""}))
            for control in self.controls
            if control.is_changed and control.chosen in dict(control.options)
        ]
        for name in ("repository", "service", "label", "author", "variant", "as_of"):
            for value in self.parameters.getlist(name):
                chips.append((f"{name.replace('_', ' ').capitalize()}: {value}", self.link_without(name, value)))
        return chips

    @property
    def is_filtered(self) -> bool:
        return bool(self.chips)

    @property
    def section(self) -> str:
        return self.parameters.get("section", "")

    def link(self, **values: str) -> str:
        return address(self.path, changed(self.parameters, **values))

    def link_without(self, name: str, value: str) -> str:
        kept = without(self.parameters)
        kept.setlist(name, [one for one in kept.getlist(name) if one != value])
        return address(self.path, canonical(kept))

    @property
    def repository_choices(self) -> list[tuple[str, bool]]:
        """Return the repositories of the team, and whether each is chosen; none is where all count.

        Of very many only the chosen ones: others are named in a field.
        """
        chosen = () if self.query.repository_ids is None else self.query.repository_ids
        return [(name, pk in chosen) for pk, name in self.repositories.items() if pk in chosen or not self.has_many]

    @property
    def has_many(self) -> bool:
        return len(self.repositories) > MOST_LISTED

    @property
    def service_choices(self) -> list[tuple[str, bool]]:
        return [(name, name in self.query.services) for name in self.options.get("service", ())]

    @property
    def label(self) -> str:
        return self.parameters.get("label", "")

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """Return the parameters that no control has, which the form keeps."""
        kept = without(self.parameters, *OF_FORM, "granularity", "section", *OF_LISTS)
        further = [("label", value) for value in self.parameters.getlist("label")[:-1]]
        return [(name, value) for name, values in kept.lists() for value in values] + further

    @property
    def reset(self) -> str:
        """Return the URL without any filter, in the same section."""
        return address(self.path, without(self.parameters, *OF_FORM, "granularity", "author", "variant", "as_of"))


def invalid_filter(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Return the page, with what is accepted."""
    found = error.detail if isinstance(error.detail, dict) else {"address": error.detail}
    problems = [message for messages in found.values() for message in messages]
    return render(request, "dashboard/invalid_filter.html", {"problems": problems, "path": request.path}, status=400)
