"""The page of a team: its figures by sections, with their trends, the previous period and the goals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from rest_framework.exceptions import ValidationError

from apps.dashboard.breakdowns import ReviewLoad, Row, Table, read_review_load, read_table
from apps.dashboard.cards import Card, GoalState, warnings_for, was_loaded
from apps.dashboard.charts import (
    Bar,
    StackedChart,
    chart_of,
    granularity_for,
    histogram_of,
    stacked_chart_of,
)
from apps.dashboard.figure_filters import (
    DEFAULTS,
    OF_LISTS,
    FilterBar,
    address,
    canonical,
    invalid_filter,
    redirect_to_canonical,
    without,
)
from apps.dashboard.freshness import Freshness, freshness_of
from apps.dashboard.team_sections import SECTIONS, STAGES, Section, groups_of
from apps.dashboard.visible_teams import KnownTeam, known, read_states, teams_of, tracked_by
from apps.metrics.figures import FIGURES, Asked, FigureQuery, FigureReading, Granularity
from apps.metrics.figures.figure_reader import completeness_by_figure, figures_for, read_together
from apps.metrics.goals import Progress, has_begun, over_weeks, progress_of
from apps.metrics.models import DerivedDeployment, Goal
from apps.metrics.query_parameters import granularity_in, query_of
from apps.teams.models import Team

SHOWN_ENVIRONMENTS = 5
MOST_COLUMNS = 62


@require_safe
@login_required
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the figures of a team."""
    found = get_object_or_404(teams_of(request.user), slug=slug)
    return redirect_to_canonical(request) or show_team(request, known(found))


def show_team(request: HttpRequest, found: KnownTeam) -> HttpResponse:
    """Return the page of a team, or what is wrong with the filters of the URL."""
    try:
        page = page_of(found, canonical(request.GET), user=request.user, path=request.path)
    except ValidationError as error:
        return invalid_filter(request, error)
    return render(request, "dashboard/team.html", {"page": page, "unread_notes": found.unread_notes})


@dataclass(frozen=True, slots=True, kw_only=True)
class CardGroup:
    """Cards under one title."""

    title: str
    cards: tuple[Card, ...]
    is_large: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The distribution of a figure."""

    title: str
    key: str
    value: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class TeamPage:
    """What the page of a team shows in one section."""

    team: Team
    section: Section
    query: FigureQuery
    granularity: Granularity
    bar: FilterBar
    cards: Mapping[str, Card]
    freshness: Freshness
    may_edit: bool
    table: Table | None
    review_load: ReviewLoad | None

    @property
    def sections(self) -> list[tuple[str, str, bool]]:
        """Return the sections: their titles, where they lead, and whether each is open."""
        return [(one.title, self.bar.link(section=one.key), one is self.section) for one in SECTIONS.values()]

    @cached_property
    def groups(self) -> list[CardGroup]:
        return list(self._groups())

    def _groups(self) -> Iterator[CardGroup]:
        for group in groups_of(self.section):
            cards = tuple(self.cards[key] for key in group.keys if key in self.cards)
            if cards:
                yield CardGroup(title=group.title, cards=cards, is_large=group.is_large)

    @cached_property
    def stages(self) -> StackedChart | None:
        if not self.section.has_stages:
            return None
        readings = {key: self.cards[key].now for key in STAGES if key in self.cards}
        return stacked_chart_of(readings, stages=STAGES, window=self.query.window, granularity=self.granularity)

    @property
    def stage_cards(self) -> list[tuple[str, Card]]:
        return [(title, self.cards[key]) for key, title in STAGES.items() if key in self.cards]

    @property
    def throughput(self) -> Card | None:
        """Return the card whose chart is drawn large beside the stages."""
        return self.cards.get("prs_merged") if self.section.has_stages else None

    @property
    def histograms(self) -> list[Histogram]:
        found = (self.cards[key] for key in self.section.histograms if key in self.cards)
        made = (
            Histogram(
                title=card.figure.title,
                key=card.figure.key,
                value=card.value,
                bars=histogram_of(card.now.histogram or (), unit=card.now.unit, noun=card.noun),
            )
            for card in found
        )
        return [one for one in made if one.bars]

    @property
    def is_cut(self) -> bool:
        """Return whether the window has not ended, so that the previous one is compared up to the same time."""
        return self.query.end_at < self.query.window.end_at

    @property
    def has_gaps(self) -> bool:
        charts = (card.chart for card in self.cards.values())
        return any(column.has_gap for chart in charts if chart for column in chart.columns)

    @property
    def has_goals(self) -> bool:
        return any(card.goal for card in self.cards.values())

    @property
    def table_rows(self) -> list[tuple[Row, str]]:
        """Return the rows of the table, each with the URL of the page filtered by it, if it can be."""
        if self.table is None:
            return []
        name = self.table.breakdown.filter
        return [(row, self.bar.link(**{name: row.key}) if name else "") for row in self.table.rows]

    @property
    def is_empty(self) -> bool:
        """Return whether nothing happened in the window nor in the previous one."""
        return not any(card.now.n or card.before.n for card in self.cards.values())

    @property
    def lists(self) -> str:
        """Return where the URLs of the lists begin."""
        return f"{reverse('team', args=[self.team.slug])}figures/"

    @cached_property
    def kept(self) -> str:
        """Return the query string with which a list keeps the filters, and leads back here."""
        parameters = without(self.bar.parameters, *OF_LISTS)
        return f"?{parameters.urlencode()}" if parameters else ""

    @property
    def joined(self) -> str:
        """Return the same, ready for a further parameter."""
        return f"{self.kept}&" if self.kept else "?"

    @property
    def here(self) -> str:
        return address(self.bar.path, self.bar.parameters)

    @cached_property
    def hints(self) -> list[str]:
        return list(hints_for(self.query, {key: card.now for key, card in self.cards.items()}))


def page_of(found: KnownTeam, parameters: QueryDict, *, user: Any, path: str) -> TeamPage:
    """Read what the page shows: all of its cards in one statement."""
    section, team = section_in(parameters), found.team
    tracked = tracked_by([team]).get(team.pk, {})
    query = query_of(team, parameters, user=user)
    chosen = tracked if query.repository_ids is None else [pk for pk in tracked if pk in query.repository_ids]
    query.knowing(repositories=tuple(sorted(chosen)), memberships=found.memberships)
    state = read_states([query], has_options=True)[team.pk]
    granularity = fitting(granularity_in(parameters, window=query.window), query=query)
    goals = goals_of(found, query, tracked=tracked)
    cards = read_cards(query, section=section, granularity=granularity, goals=goals)
    return TeamPage(
        team=team,
        section=section,
        query=query,
        granularity=granularity,
        bar=FilterBar(parameters=parameters, path=path, query=query, repositories=tracked, options=state.options),
        cards=cards,
        freshness=freshness_of(query, keys=cards or section.keys, last_received_at=state.last_received_at),
        may_edit=found.may_edit,
        table=read_table(query, section.breakdown) if section.breakdown else None,
        review_load=read_review_load(query, may_see_people=found.may_edit) if section.has_reviewers else None,
    )


def section_in(parameters: QueryDict) -> Section:
    key = parameters.get("section") or DEFAULTS["section"]
    if key not in SECTIONS:
        raise ValidationError({"section": [f"There is no section {key!r}. Sections: {', '.join(SECTIONS)}."]})
    return SECTIONS[key]


def fitting(asked: Granularity | None, *, query: FigureQuery) -> Granularity:
    """Return the granularity that is asked for, or the next longer one with few enough columns."""
    if asked is None:
        return granularity_for(query.window)
    order = list(Granularity)
    longer = order[order.index(asked) :]
    return next((one for one in longer if len(query.window.buckets(one)) <= MOST_COLUMNS), order[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """The goals of a team by figure, and the query that measures them: of the whole team, whatever is filtered."""

    query: FigureQuery
    by_figure: Mapping[str, Goal]

    def question(self, keys: Sequence[str]) -> list[tuple[FigureQuery, Asked]]:
        """Return what is asked to know whether the goals of these figures were met last week; empty without any."""
        own = [goal for key, goal in self.by_figure.items() if key in keys and has_begun(goal, query=self.query)]
        if not own:
            return []
        return [(over_weeks(self.query, own, weeks=2), Asked(granularity=Granularity.WEEK))]

    def state(self, key: str, readings: Mapping[str, FigureReading]) -> GoalState | None:
        goal = self.by_figure.get(key)
        if goal is None:
            return None
        progress = progress_of(goal, readings[key]) if key in readings else Progress()
        return GoalState(goal=goal, progress=progress, unit=FIGURES[key].unit)


def goals_of(found: KnownTeam, query: FigureQuery, *, tracked: Mapping[int, str]) -> Goals:
    whole = FigureQuery(team=found.team, window=query.window, as_of=query.as_of)
    whole.knowing(repositories=tuple(sorted(tracked)), memberships=found.memberships)
    if query.repository_ids is None:
        whole.knowing(report=query.report, pending=query.pending, sources=query.sources)
    return Goals(query=whole, by_figure={goal.figure: goal for goal in found.goals if goal.figure in FIGURES})


def read_cards(query: FigureQuery, *, section: Section, granularity: Granularity, goals: Goals) -> dict[str, Card]:
    """Return the cards of the figures that the section has and that the filters fit."""
    shown = {*section.keys, *(key for group in groups_of(section) for key in group.keys)}
    keys = [figure.key for figure in figures_for(query, keys=None) if figure.key in shown]
    report = query.report  # before the query of the earlier period is made of this one, so that it is read once
    earlier = query.compared_with()
    asked = Asked(granularity=granularity, has_histogram=bool(section.histograms), has_exclusions=True)
    questions = [(query, asked), (earlier, Asked(granularity=granularity)), *goals.question(keys)]
    now, before, *weeks = ({one.figure: one for one in found} for found in read_together(questions, keys=keys))
    warnings = warnings_for(completeness_by_figure(query, keys=keys), names=report.names)
    has_before = any(reading.n for reading in before.values())
    cards: dict[str, Card] = {}
    for key in keys:
        figure, goal = FIGURES[key], goals.state(key, weeks[0] if weeks else {})
        is_known = was_loaded(figure, earlier=earlier, report=report, has_any=has_before)
        cards[key] = Card(
            figure=figure,
            query=query,
            now=now[key],
            before=before[key],
            chart=chart_of(
                figure,
                now[key],
                window=query.window,
                granularity=granularity,
                previous=before[key] if is_known else None,
                target=goal.goal.target if goal else None,
            ),
            warning=warnings[key],
            is_before_known=is_known,
            goal=goal,
        )
    return cards


def hints_for(query: FigureQuery, readings: Mapping[str, FigureReading]) -> Iterator[str]:
    """Yield what is missing and what to do."""
    if not query.repositories:
        yield "No repositories yet. Add one to the team, or install the GitHub App on the account that owns them."
    elif "deployment_frequency" in readings and not readings["deployment_frequency"].n:
        yield deployments_hint(query)


def deployments_hint(query: FigureQuery) -> str:
    production = ", ".join(query.production_environments) or "by GitHub's flag and their name"
    rows = DerivedDeployment.objects.filter(repository_id__in=query.repositories)
    names = rows.order_by("environment").values_list("environment", flat=True).distinct()[:SHOWN_ENVIRONMENTS]
    seen = ", ".join(name for name in names if name) or "none"
    return (
        f"No production deployments in this period. Production environments: {production}; seen: {seen}. "
        "An operator can change what counts as production on the Setup page."
    )
