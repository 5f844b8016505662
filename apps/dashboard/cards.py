"""Cards: a figure in the window, over its days, weeks or months, in the previous period, and what it leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Model

from apps.dashboard.charts import Chart
from apps.metrics.completeness import Completeness, Reason, Report
from apps.metrics.completeness.descriptions import explain_gap_briefly, format_moment
from apps.metrics.figures import Figure, FigureQuery
from apps.metrics.figures.comparison import Comparison
from apps.metrics.figures.figure import Measure
from apps.metrics.figures.formatting import as_words
from apps.metrics.goals import Progress
from apps.metrics.models import (
    DerivedCommit,
    DerivedDeployment,
    DerivedIncident,
    DerivedRemediation,
    DerivedReview,
    DerivedReviewRequest,
    DerivedWorkflowRun,
    Goal,
)

NOUNS: Mapping[type[Model], str] = {
    DerivedCommit: "commit",
    DerivedDeployment: "deployment",
    DerivedRemediation: "recovery",
    DerivedReview: "review",
    DerivedReviewRequest: "review request",
    DerivedWorkflowRun: "run",
    DerivedIncident: "incident",
}
"""What a card calls the rows that are not pull requests."""
PLURALS = {"recovery": "recoveries"}
MORE_IS_BETTER = frozenset(
    {"deployment_frequency", "deployment_days_per_week", "review_coverage", "ci_success_rate"},
)
LESS_IS_BETTER = frozenset(
    {
        *("lead_time", "change_failure_rate", "failed_deployment_recovery_time", "deployment_rework_rate"),
        *("failed_deployments", "incident_recovery_time", "cycle_time", "time_to_first_review"),
        *("time_to_first_response", "review_turnaround", "ci_flaky_share", "ci_duration", "ci_queue_time"),
        *("reverted_rate", "hotfix_rate"),
    }
)
"""The figures of which a change is good or bad for nearly every team; of the others, the page says neither."""
REASONS = {
    "bot": "by bots",
    "agent": "by coding agents",
    "human": "by people",
    "not_a_member": "by people who were not in the team then",
    "never_ready": "never ready for review",
    "never_queued": "never in the merge queue",
    "size_unknown": "of unknown size",
    "rounds_unknown": "whose pushes after a review are not known",
    "merged_without_review": "merged without a review",
    "merged_without_response": "merged without a response",
    "not_deployed": "merged and not deployed yet",
    "baseline_unknown": "merged before the first known deployment",
    "order_unknown": "whose place on the default branch is not known",
    "not_answered": "not answered yet",
    "withdrawn": "withdrawn before an answer",
    "requested_of_team": "asked of a GitHub team",
    "run_again": "earlier attempts of a run",
    "cancelled": "cancelled",
    "skipped": "skipped",
    "inconclusive": "without success or failure",
    "duration_time_unknown": "of unknown duration",
    "queued_time_unknown": "whose waiting time is not known",
    "attempts_unknown": "whose earlier attempts are not stored",
}
"""Why rows do not count, in words that follow their number."""


NO_INCIDENTS = "no rule names incidents yet"
LACKS = {
    "no_source": "no deployments are known",
    "no_production": "no deployments to production are known",
    "suppressed": "too few to show in the team of an account with other teams",
}


def reason_in_words(reason: str) -> str:
    return REASONS.get(reason, reason.replace("_", " "))


def counted(n: int, noun: str) -> str:
    """Return the number with the noun: 1 run, 2 runs."""
    return f"{n:,} {noun if n == 1 else PLURALS.get(noun, f'{noun}s')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalState:
    """The goal of a figure, and whether the last full week met it."""

    goal: Goal
    progress: Progress
    unit: str

    @property
    def words(self) -> str:
        return f"{self.goal.direction.replace('_', ' ')} {as_words(self.goal.target, unit=self.unit)}"

    @property
    def state(self) -> str:
        """Return met or missed in the last full week, or open without any."""
        return {True: "met", False: "missed", None: "open"}[self.progress.is_met]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card(Comparison):
    """A figure, as a card of a team's page shows it."""

    query: FigureQuery
    chart: Chart | None
    warning: str
    goal: GoalState | None = None

    @property
    def noun(self) -> str:
        return noun_of(self.figure)

    @property
    def details(self) -> list[str]:
        """Return what the value is made of, as people say it."""
        found = [self._lack, self._basis, *self._percentiles, *self._remarks]
        return [words for words in found if words]

    @property
    def _lack(self) -> str:
        """Return why nothing can be counted."""
        if self.figure.population.rows.table is DerivedIncident:
            return NO_INCIDENTS if self.now.reason else ""
        return LACKS.get(self.now.reason, "")

    @property
    def _percentiles(self) -> list[str]:
        if self.now.p75 is None:
            return []
        shares = {"p75": self.now.p75, "p90": self.now.p90}
        return [f"{name} {as_words(value, unit=self.now.unit)}" for name, value in shares.items()]

    @property
    def _basis(self) -> str:
        now, over = self.now, self.now.denominator or 0
        rows = counted(now.n if now.numerator is None else now.numerator, self.noun)
        words = ""
        if now.is_suppressed:
            return words
        match self.figure.measure:
            case Measure.DISTRIBUTION if now.n:
                words = f"median of {counted(now.n, self.noun)}"
            case Measure.PER_DAY | Measure.PER_WEEK:
                days = now.remarks.get("deployment_days", 0)
                words = f"{rows} in {counted(over, 'day')}" + (f", on {counted(days, 'day')}" if days else "")
            case Measure.DAYS_PER_WEEK:
                words = f"median of {counted(over, 'full week')}"
            case Measure.PER_ACCOUNT:
                words = f"{rows} by {counted(over, 'reviewer')}"
            case Measure.RATIO if self.figure.unit == "ratio":
                words = f"{now.numerator or 0:,} opened, {over:,} merged or closed"
            case Measure.RATIO | Measure.SHARE if over:
                words = f"{now.numerator or 0:,} of {counted(over, self.noun)}"
        return words

    @property
    def _remarks(self) -> list[str]:
        hidden = ("merges_not_known", "deployment_days")
        found = self.now.remarks.items()
        return [f"{n:,} {name.replace('_', ' ')}" for name, n in found if n and name not in hidden]

    @property
    def rules(self) -> list[str]:
        """Return the rules of the definition, and what is not known yet."""
        unknown = self.now.remarks.get("merges_not_known")
        known = list(self.figure.rules)
        return [*known, f"{counted(unknown, 'merge commit')} not yet identified."] if unknown else known

    @property
    def excluded(self) -> list[tuple[str, str]]:
        """Return how many do not count and why, in words, each with its reason."""
        found = (self.now.excluded or {}).items()
        return [(f"{n:,} {reason_in_words(reason)}", reason) for reason, n in found if n]

    @property
    def judgement(self) -> str:
        return judgement_of(self.figure, self.direction)

    @property
    def prefers_more(self) -> bool:
        """Return whether a goal of it is rather a least than a most."""
        return self.figure.key in MORE_IS_BETTER or self.figure.measure in (Measure.COUNT, Measure.PER_WEEK)

    @property
    def target_example(self) -> str:
        return {"seconds": "2 d, 36 h or 45 m", "share": "15 %"}.get(self.figure.unit, "10")

    @property
    def before_words(self) -> str:
        """Return the previous period in a sentence: 23 in the previous 30 days."""
        if not self.is_before_known:
            return "previous period not loaded"
        days = self.query.window.days
        if self.before.is_suppressed:
            return "too few before"
        value = as_words(self.before.value, unit=self.before.unit)
        words = f"{value} in the previous {'day' if days == 1 else f'{days} days'}"
        if self.figure.measure in (Measure.DISTRIBUTION, Measure.SHARE):
            words += f" ({counted(self.before.n, self.noun)})"
        return words


def noun_of(figure: Figure) -> str:
    """Return what the rows of a figure are called."""
    return NOUNS.get(figure.population.rows.table, "PR")


def judgement_of(figure: Figure, direction: str) -> str:
    """Return better or worse; empty where neither can be said."""
    if direction not in ("up", "down"):
        return ""
    if figure.key in MORE_IS_BETTER:
        return "better" if direction == "up" else "worse"
    if figure.key in LESS_IS_BETTER:
        return "better" if direction == "down" else "worse"
    return ""


def was_loaded(figure: Figure, *, earlier: FigureQuery, report: Report, has_any: bool) -> bool:
    """Return whether the previous period was loaded; if unverified, whether it has any data."""
    start_at, end_at = earlier.window.start_at, earlier.end_at
    found = report.of_team(start_at=start_at, end_at=end_at, streams=figure.streams)
    if found.complete_until is None:
        return has_any
    return not any(gap.reason is Reason.HISTORY for gap in found.gaps)


def status_of(found: Completeness, *, is_partly: bool = False) -> str:
    """Return complete, outdated, partial (some figures are unverified) or unverified."""
    if found.complete_until is None:
        return "partial" if is_partly else "unverified"
    return "outdated" if found.is_stale(now=datetime.now(UTC)) else "complete"


def warnings_for(complete: Mapping[str, Completeness], *, names: Mapping[int, str]) -> dict[str, str]:
    """Return a short warning for each figure; empty if it is complete, or the page says the same of all figures."""
    are_alike = len({status_of(found) for found in complete.values()}) == 1
    return {key: warning_for(found, names=names, is_said_by_page=are_alike) for key, found in complete.items()}


def warning_for(found: Completeness, *, names: Mapping[int, str], is_said_by_page: bool) -> str:
    if found.complete_until is None:
        return "" if is_said_by_page else "Unverified: its history is not fully loaded."
    if len(found.gaps) > 1:
        return f"Data may be missing: {len(found.gaps)} gaps."
    if found.gaps:
        return explain_gap_briefly(found.gaps[0], names=names)
    if is_said_by_page or status_of(found) != "outdated":
        return ""
    return f"Complete only until {format_moment(found.complete_until)}."
