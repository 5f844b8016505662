"""The front page: an overview with one row a team, or the team itself where there is only one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from rest_framework.exceptions import ValidationError

from apps.dashboard.cards import judgement_of, status_of, was_loaded
from apps.dashboard.charts import granularity_for, trend_of
from apps.dashboard.figure_filters import (
    FilterBar,
    address,
    canonical,
    changed,
    invalid_filter,
    redirect_to_canonical,
    without,
)
from apps.dashboard.lists import Heading
from apps.dashboard.team import show_team
from apps.dashboard.visible_teams import KnownTeam, TeamState, known, read_states, teams_of, tracked_by
from apps.github.registration import webhook_url
from apps.metrics.completeness import OF_FIGURES, report_of
from apps.metrics.completeness.providers import find_pending
from apps.metrics.figures import FIGURES, Asked, FigureQuery, FigureReading
from apps.metrics.figures.comparison import Comparison
from apps.metrics.figures.figure_reader import VALUE_ONLY, completeness_of, figures_for, read_together
from apps.metrics.goals import Progress, read_progress_together
from apps.metrics.query_parameters import query_of, split_values
from apps.webhooks.models import Delivery

TEAMS_PER_PAGE = 20
COLUMNS = (
    *("deployment_frequency", "lead_time", "change_failure_rate"),
    *("cycle_time", "time_to_first_review", "prs_merged"),
)
BY_NAME = "name"


@require_safe
@login_required
def front(request: HttpRequest) -> HttpResponse:
    """Show an overview of the teams that the user may see; of a single one its page."""
    if moved := redirect_to_canonical(request):
        return moved
    teams = [known(team) for team in teams_of(request.user)]
    if not teams:
        return render(request, "dashboard/no_team.html", set_up())
    if len(teams) == 1:
        return show_team(request, teams[0])
    try:
        overview = overview_of(teams, canonical(request.GET), user=request.user, path=request.path)
    except ValidationError as error:
        return invalid_filter(request, error)
    context = {"overview": overview, "page": overview.page, "kept": overview.kept}
    return render(request, "dashboard/overview.html", {**context, "unread_notes": teams[0].unread_notes})


def set_up() -> dict[str, Any]:
    """Return what the page of a new instance shows to operators."""
    has_received = Delivery.objects.exists()
    return {"has_received": has_received, "webhook_url": webhook_url()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell(Comparison):
    """A figure of a team, with its trend as a line."""

    trend: str
    url: str

    @property
    def judgement(self) -> str:
        return judgement_of(self.figure, self.direction)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamRow:
    """A team with a few of its figures."""

    name: str
    url: str
    repositories: int
    cells: tuple[Cell, ...]
    status: str
    last_received_at: datetime | None
    progress: tuple[Progress, ...]

    @property
    def goals(self) -> str:
        """Return how many goals the last week met; empty without goals."""
        if not self.progress:
            return ""
        known = [one.is_met for one in self.progress if one.is_met is not None]
        return f"{sum(known)} of {len(known)} met" if known else "no full week yet"

    @property
    def has_missed(self) -> bool:
        return any(one.is_met is False for one in self.progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The teams that the user may see, a page of them."""

    rows: tuple[TeamRow, ...]
    bar: FilterBar
    page: Page[Any]
    headings: tuple[Heading, ...]

    @property
    def kept(self) -> str:
        return without(self.bar.parameters).urlencode()


def overview_of(teams: Sequence[KnownTeam], parameters: QueryDict, *, user: Any, path: str) -> Overview:
    """Read the figures of a page of teams in one statement."""
    order = parameters.get("sort", BY_NAME)
    key, is_descending = order.removeprefix("-"), order.startswith("-")
    if key not in (BY_NAME, *COLUMNS):
        raise ValidationError({"sort": [f"{order!r} is not one of {', '.join((BY_NAME, *COLUMNS))}."]})
    queries = queries_of(teams, parameters, user=user)
    shown = list(queries)
    if key != BY_NAME:
        shown = _sorted(queries, key=key, is_descending=is_descending)
    elif is_descending:
        shown.reverse()
    page = Paginator(shown, TEAMS_PER_PAGE).get_page(parameters.get("page"))
    by_team = {team.team.pk: team for team in teams}
    on_page = {pk: queries[pk] for pk in page.object_list}
    bar = FilterBar(parameters=parameters, path=path, query=next(iter(queries.values())), repositories={})
    return Overview(
        rows=tuple(read_rows({pk: by_team[pk] for pk in on_page}, on_page, bar=bar)),
        bar=bar,
        page=page,
        headings=tuple(_headings(parameters, path=path)),
    )


def queries_of(teams: Sequence[KnownTeam], parameters: QueryDict, *, user: Any) -> dict[int, FigureQuery]:
    """Return the query of each team, by its key; where repositories are named, of the teams that track any of them."""
    tracked = tracked_by([known.team for known in teams])
    names = split_values(parameters.getlist("repository"))
    of_all = changed(parameters, repository="")
    queries: dict[int, FigureQuery] = {}
    for one in teams:
        own = tracked.get(one.team.pk, {})
        chosen = _named(own, names) if names else None
        if chosen != ():
            query = replace(query_of(one.team, of_all, user=user), repository_ids=chosen)
            repositories = tuple(sorted(own if chosen is None else chosen))
            queries[one.team.pk] = query.knowing(repositories=repositories, memberships=one.memberships)
    if not queries:  # the first of them says that no team tracks any
        query_of(teams[0].team, parameters, user=user)
    return queries


def _named(tracked: Mapping[int, str], names: Sequence[str]) -> tuple[int, ...]:
    """Return the repositories with one of these ids or names, in upper or lower case."""
    wanted = {name.lower() for name in names}
    return tuple(pk for pk, name in tracked.items() if str(pk) in wanted or name.lower() in wanted)


def _sorted(queries: Mapping[int, FigureQuery], *, key: str, is_descending: bool) -> list[int]:
    """Return the teams by their value of a figure; those without a value come last."""
    read = read_together([(query, VALUE_ONLY) for query in queries.values()], keys=[key])
    values = {pk: readings[0].value for pk, readings in zip(queries, read, strict=True)}
    sign = -1 if is_descending else 1
    return sorted(values, key=lambda pk: (values[pk] is None, sign * (values[pk] or 0.0)))


def _headings(parameters: QueryDict, *, path: str) -> list[Heading]:
    order = parameters.get("sort", BY_NAME)
    found = []
    for name, title in ((BY_NAME, "Team"), *((key, FIGURES[key].title) for key in COLUMNS)):
        following = f"-{name}" if order == name else name
        direction = {name: "ascending", f"-{name}": "descending"}.get(order, "")
        url = address(path, changed(parameters, sort=following))
        found.append(Heading(title=title, url=url, sorted=direction, is_number=name != BY_NAME))
    return found


def read_rows(teams: Mapping[int, KnownTeam], queries: Mapping[int, FigureQuery], *, bar: FilterBar) -> list[TeamRow]:
    """Return the rows of these teams, in their order."""
    share_report(queries.values())
    states = read_states(queries.values())
    keys = [one.key for one in figures_for(bar.query, keys=None) if one.key in COLUMNS]
    asked = Asked(granularity=granularity_for(bar.query.window))
    earlier = {pk: query.compared_with() for pk, query in queries.items()}
    questions = [(query, asked) for query in queries.values()] + [(one, VALUE_ONLY) for one in earlier.values()]
    read = [{one.figure: one for one in readings} for readings in read_together(questions, keys=keys)]
    goals = [(_whole(teams[pk], query), teams[pk].goals) for pk, query in queries.items()]
    progress = read_progress_together(goals, weeks=2)
    rows = []
    for place, (pk, query) in enumerate(queries.items()):
        now, before = read[place], read[len(queries) + place]
        has_any = any(reading.n for reading in before.values())
        cells = [
            _cell(key, query, earlier[pk], now=now[key], before=before[key], bar=bar, has_any=has_any)
            for key in COLUMNS
            if key in now
        ]
        own = tuple(progress[goal.pk] for goal in teams[pk].goals)
        rows.append(_row(query, cells=cells, state=states[pk], progress=own, keys=keys, bar=bar))
    return rows


def share_report(queries: Any) -> None:
    """Make each query know the completeness of its repositories, read for all of them at once."""
    ids = {repository_id for query in queries for repository_id in query.repositories}
    pending = find_pending(ids)
    report = report_of(ids, streams=OF_FIGURES, pending=pending)
    for query in queries:
        query.knowing(report=report.of_some(query.repositories), pending=pending)


def _whole(known: KnownTeam, query: FigureQuery) -> FigureQuery:
    """Return the query of the whole team, of which its goals are, whatever is filtered."""
    whole = FigureQuery(team=known.team, window=query.window, as_of=query.as_of)
    if query.repository_ids is not None:
        return whole
    return whole.knowing(
        repositories=query.repositories,
        memberships=known.memberships,
        report=query.report,
        pending=query.pending,
        sources=query.sources,
    )


def _cell(
    key: str,
    query: FigureQuery,
    earlier: FigureQuery,
    *,
    now: FigureReading,
    before: FigureReading,
    bar: FilterBar,
    has_any: bool,
) -> Cell:
    own = FIGURES[key]
    return Cell(
        figure=own,
        now=now,
        before=before,
        is_before_known=was_loaded(own, earlier=earlier, report=query.report, has_any=has_any),
        trend=trend_of(now.series or (), window=query.window),
        url=address(reverse("entities", args=[query.team.slug, key]), without(bar.parameters, "sort")) if now.n else "",
    )


def _row(
    query: FigureQuery,
    *,
    cells: Sequence[Cell],
    state: TeamState,
    progress: tuple[Progress, ...],
    keys: Sequence[str],
    bar: FilterBar,
) -> TeamRow:
    return TeamRow(
        name=query.team.name,
        url=address(reverse("team", args=[query.team.slug]), without(bar.parameters, "sort")),
        repositories=len(query.repositories),
        cells=tuple(cells),
        status=status_of(completeness_of(query, keys=keys)),
        last_received_at=state.last_received_at,
        progress=progress,
    )
