"""The board of a team on the front page: its figures in groups, the previous period, and their completeness."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Model

from apps.activity.models import Installation
from apps.dashboard.charts import Chart, chart_of, granularity_for
from apps.metrics.completeness import Completeness, Reason, Report
from apps.metrics.completeness.descriptions import (
    advise,
    explain_completeness,
    explain_gap,
    explain_gap_briefly,
    format_moment,
)
from apps.metrics.figures import FIGURES, Figure, FigureQuery, FigureReading
from apps.metrics.figures.figure import Measure
from apps.metrics.figures.values import VALUE_ONLY, Asked, completeness_by_figure, completeness_of, read_together
from apps.metrics.models import (
    DerivedDeployment,
    DerivedIncident,
    DerivedRemediation,
    DerivedReviewRequest,
    DerivedWorkflowRun,
)
from apps.teams.models import Team
from apps.webhooks.models import Delivery
from apps.webhooks.overview import latest_received_at

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Flow": (
        *("prs_merged", "throughput", "cycle_time", "pr_size"),
        *("prs_opened", "closed_unmerged", "flow_ratio", "time_in_draft", "time_in_queue"),
    ),
    "Review": (
        *("time_to_first_review", "time_to_first_response", "review_turnaround", "review_coverage"),
        *("review_rounds", "reviews", "review_load"),
    ),
    "Delivery": (
        *("deployments", "deployment_frequency", "deployment_days_per_week", "failed_deployments", "lead_time"),
        *("change_failure_rate", "failed_deployment_recovery_time", "deployment_rework_rate", "incidents"),
        *("incident_recovery_time", "commits"),
    ),
    "Rework": ("revert_rate", "reverted_rate", "hotfix_rate"),
    "AI": ("agent_authored", "ai_assisted", "ai_reviewed"),
    "Stages": ("coding_time", "pickup_time", "review_time", "merge_time", "deploy_time"),
    "CI": ("ci_success_rate", "ci_duration", "ci_queue_time", "ci_attempts", "ci_flaky_share"),
    "Now": ("wip", "age"),
}
OTHERS = "More"
NOUNS: Mapping[type[Model], str] = {
    DerivedDeployment: "deployment",
    DerivedRemediation: "deployment",
    DerivedReviewRequest: "review request",
    DerivedWorkflowRun: "run",
    DerivedIncident: "incident",
}
"""What a card calls the rows that are not pull requests."""
SHOWN_ENVIRONMENTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A figure in the window, over its days, weeks or months, and in the previous period."""

    figure: Figure
    now: FigureReading
    before: FigureReading
    chart: Chart | None
    warning: str
    is_before_known: bool = True

    @property
    def noun(self) -> str:
        return NOUNS.get(self.figure.population.rows.table, "PR")

    @property
    def has_percentiles(self) -> bool:
        return self.now.p75 is not None

    @property
    def values(self) -> tuple[float, float] | None:
        """Return the values now and before, if both are known."""
        if self.now.value is None or self.before.value is None or not self.is_before_known:
            return None
        return self.now.value, self.before.value

    @property
    def direction(self) -> str:
        """Return up, down or same; empty if there is nothing to compare."""
        if self.values is None:
            return ""
        now, before = self.values
        return "same" if now == before else "up" if now > before else "down"

    @property
    def change(self) -> str:
        """Return the signed change since the previous period: shares in points, all else in percent; may be empty."""
        if self.values is None:
            return ""
        now, before = self.values
        if self.figure.unit == "share":
            return f"{(now - before) * 100:+.0f} points"
        if not before:
            return f"{self.now.n - self.before.n:+d}" if self.figure.measure is Measure.COUNT and self.now.n else ""
        return f"{now / before - 1:+.0%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cards under one title."""

    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A team's figures in a window."""

    team: Team
    query: FigureQuery
    groups: tuple[Group, ...]
    hints: tuple[str, ...]
    overall: Completeness
    is_partly_complete: bool
    last_received_at: datetime | None
    is_recalculating: bool

    @property
    def is_cut(self) -> bool:
        """Return whether the window has not ended, so that the previous one is compared up to the same time."""
        return self.query.end_at < self.query.window.end_at

    @property
    def is_empty(self) -> bool:
        """Return whether nothing happened in the window nor in the previous one."""
        return not any(card.now.n or card.before.n for card in self.cards)

    @property
    def cards(self) -> Iterator[Card]:
        return (card for group in self.groups for card in group.cards)

    @property
    def status(self) -> str:
        """Return complete, outdated, partial (some figures are unverified) or unverified."""
        return status_of(self.overall, is_partly=self.is_partly_complete)

    @property
    def completeness(self) -> str:
        """Return a sentence about the completeness."""
        return explain_completeness(self.overall, report=self.query.report, now=datetime.now(UTC))

    @property
    def gaps(self) -> list[tuple[str, str]]:
        """Return a sentence and an advice for each gap."""
        names = self.query.report.names
        return [(explain_gap(gap, names=names), advise(gap)) for gap in self.overall.gaps]


def board_of(query: FigureQuery) -> Board:
    """Read a team's figures for the page."""
    earlier = query.compared_with()
    granularity = granularity_for(query.window)
    read = read_together([(query, Asked(granularity=granularity)), (earlier, VALUE_ONLY)])
    now, before = ({reading.figure: reading for reading in readings} for readings in read)
    complete = completeness_by_figure(query, keys=now)
    warnings = warnings_for(complete, query=query)
    has_before = any(reading.n for reading in before.values())
    cards = {
        key: Card(
            figure=FIGURES[key],
            now=now[key],
            before=before[key],
            chart=chart_of(now[key], granularity=granularity),
            warning=warnings[key],
            is_before_known=was_loaded(FIGURES[key], earlier=earlier, report=query.report, has_any=has_before),
        )
        for key in now
    }
    return Board(
        team=query.team,
        query=query,
        groups=tuple(grouped(cards)),
        hints=tuple(hints_for(query, now)),
        overall=completeness_of(query, keys=now),
        is_partly_complete=any(found.complete_until for found in complete.values()),
        last_received_at=latest_received_at(query.repositories) or last_of_installation(query.team),
        is_recalculating=query.is_recalculating,
    )


def was_loaded(figure: Figure, *, earlier: FigureQuery, report: Report, has_any: bool) -> bool:
    """Return whether the previous period was loaded; if unverified, whether it has any data."""
    start_at, end_at = earlier.window.start_at, earlier.end_at
    found = report.of_team(start_at=start_at, end_at=end_at, streams=figure.streams)
    if found.complete_until is None:
        return has_any
    return not any(gap.reason is Reason.HISTORY for gap in found.gaps)


def status_of(found: Completeness, *, is_partly: bool = False) -> str:
    if found.complete_until is None:
        return "partial" if is_partly else "unverified"
    return "outdated" if found.is_stale(now=datetime.now(UTC)) else "complete"


def warnings_for(complete: Mapping[str, Completeness], *, query: FigureQuery) -> dict[str, str]:
    """Return a short warning for each figure; empty if it is complete, or the board says the same of all figures."""
    are_alike = len({status_of(found) for found in complete.values()}) == 1
    return {
        key: warning_for(found, names=query.report.names, is_said_by_board=are_alike) for key, found in complete.items()
    }


def warning_for(found: Completeness, *, names: Mapping[int, str], is_said_by_board: bool) -> str:
    if found.complete_until is None:
        return "" if is_said_by_board else "Unverified: its history is not fully loaded."
    if len(found.gaps) > 1:
        return f"Data may be missing: {len(found.gaps)} gaps."
    if found.gaps:
        return explain_gap_briefly(found.gaps[0], names=names)
    if is_said_by_board or status_of(found) != "outdated":
        return ""
    return f"Complete only until {format_moment(found.complete_until)}."


def grouped(cards: Mapping[str, Card]) -> Iterator[Group]:
    """Yield the groups with their cards; figures that no group names come last."""
    named = {key for keys in GROUPS.values() for key in keys}
    groups = {**GROUPS, OTHERS: tuple(key for key in cards if key not in named)}
    for title, keys in groups.items():
        found = tuple(cards[key] for key in keys if key in cards)
        if found:
            yield Group(title=title, cards=found)


def hints_for(query: FigureQuery, readings: Mapping[str, FigureReading]) -> Iterator[str]:
    """Yield what is missing and what to do."""
    if not query.repositories:
        yield "No repositories yet: add one to the team, or install the GitHub App on its account."
    elif "deployments" in readings and not readings["deployments"].n:
        yield deployments_hint(query)


def deployments_hint(query: FigureQuery) -> str:
    production = ", ".join(query.production_environments) or "by GitHub's flag and their name"
    rows = DerivedDeployment.objects.filter(repository_id__in=query.repositories)
    names = rows.order_by("environment").values_list("environment", flat=True).distinct()[:SHOWN_ENVIRONMENTS]
    seen = ", ".join(name for name in names if name) or "none"
    return f"No production deployments in this period. Production environments: {production}; seen: {seen}."


def last_of_installation(team: Team) -> datetime | None:
    """Return when GitHub last sent a delivery about the App on the team's account."""
    if team.account_id is None:
        return None
    own = Installation.objects.filter(account=team.account_id).order_by("-pk").first()
    if own is None:
        return None
    found = Delivery.objects.filter(installation_id=own.pk).order_by("-id")  # by delivery_of_installation
    return found.values_list("received_at", flat=True).first()
