"""The content of a team's weekly digest: its figures against the week before, what changed notably, what is stuck."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from apps.metrics.completeness.descriptions import explain_completeness
from apps.metrics.figures import FIGURES, FigureQuery, FigureReading, Window
from apps.metrics.figures.comparison import Comparison
from apps.metrics.figures.figure import Measure
from apps.metrics.figures.figure_reader import VALUE_ONLY, completeness_of, read_together
from apps.metrics.figures.formatting import as_words
from apps.metrics.figures.windows import DAY, WEEK
from apps.metrics.stuck import Filters, Section, read_stuck
from apps.teams.models import Team

SHOWN = (
    *("prs_merged", "cycle_time", "time_to_first_review", "pr_size"),
    *("deployments", "lead_time", "change_failure_rate", "failed_deployment_recovery_time"),
    *("ci_success_rate", "ai_assisted"),
)
STAGES = {
    "coding_time": "coding",
    "pickup_time": "waiting for review",
    "review_time": "review",
    "merge_time": "waiting for the merge",
    "deploy_time": "deployment",
}
"""The stages of the cycle time, as a sentence names them."""
MOST_STUCK = 5
"""How many of each kind are named."""
NOTABLE_SHARE, NOTABLE_POINTS = 0.25, 0.10
FEWEST = 5
"""A change is notable only where so many rows stand behind both weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Comparison):
    """A figure in the week and in the one before."""

    @property
    def words(self) -> str:
        """Return the value, with its unit where the title does not say it."""
        return self.value if self.now.value is None else f"{self.value} {self.unit}".rstrip()

    @property
    def words_before(self) -> str:
        return as_words(self.before.value, unit=self.figure.unit)

    @property
    def signed_change(self) -> str:
        """Return the change with a minus as wide as a plus."""
        return self.change.replace("-", "\N{MINUS SIGN}")

    @property
    def is_notable(self) -> bool:
        """Return whether the change is large, and of enough rows to mean something."""
        is_of_enough = min(self.now.n, self.before.n) >= FEWEST
        if self.figure.measure is Measure.COUNT:
            is_of_enough = max(self.now.n, self.before.n) >= FEWEST
        if self.values is None or not is_of_enough:
            return False
        now, before = self.values
        if self.figure.unit == "share":
            return abs(now - before) >= NOTABLE_POINTS
        return now != before and abs(now - before) >= NOTABLE_SHARE * before


@dataclass(frozen=True, kw_only=True)
class Digest:
    """A team's week, as the digest shows it.

    `stages`: the stages of the cycle time, by key. `stuck`: what is stuck now, where the week is the last one.
    """

    query: FigureQuery
    lines: tuple[Line, ...]
    stages: Mapping[str, Line]
    stuck: tuple[Section, ...] = ()

    @property
    def team(self) -> Team:
        return self.query.team

    @property
    def week(self) -> Window:
        return self.query.window

    @property
    def is_empty(self) -> bool:
        """Return whether nothing happened in the week nor in the one before, and nothing is stuck."""
        return not self.stuck and not any(line.now.n or line.before.n for line in self.lines)

    @cached_property
    def notable(self) -> tuple[str, ...]:
        """Return a sentence for each figure that changed notably."""
        return tuple(self._describe(line) for line in self.lines if line.is_notable)

    @property
    def completeness(self) -> str:
        """Return a sentence about the completeness of these figures."""
        found = completeness_of(self.query, keys=[line.figure.key for line in self.lines])
        return explain_completeness(found, report=self.query.report, now=datetime.now(UTC))

    def _describe(self, line: Line) -> str:
        verb = "rose" if line.direction == "up" else "fell"
        cause = f", most of it in {stage}" if (stage := self._cause_of(line)) else ""
        return f"{line.figure.title} {verb} to {line.words}, from {line.words_before} ({line.signed_change}){cause}."

    def _cause_of(self, line: Line) -> str:
        """Return the stage in which the cycle time changed most; empty for other figures."""
        if line.figure.key != "cycle_time":
            return ""
        sign = 1 if line.direction == "up" else -1
        changes = {key: sign * (one.values[0] - one.values[1]) for key, one in self.stages.items() if one.values}
        key = max(changes, key=lambda key: changes[key], default="")
        return STAGES[key] if key and changes[key] > 0 else ""


def last_week(team: Team, *, now: datetime | None = None) -> Window:
    """Return the last whole week, from Monday, in the team's time zone."""
    today = Window.last(1, time_zone=team.time_zone, now=now).start
    monday = today - DAY * today.weekday()
    return Window(start=monday - WEEK, end=monday, time_zone=team.time_zone)


def read_digest(team: Team, *, week: Window | None = None, has_stuck: bool = True) -> Digest:
    """Compute the digest of a week, by default the last whole one, with what is stuck now unless that is left out."""
    query = FigureQuery(team=team, window=week or last_week(team))
    keys = [key for key in (*SHOWN, *STAGES) if key in FIGURES]
    read = read_together([(query, VALUE_ONLY), (query.compared_with(), VALUE_ONLY)], keys=keys)
    lines = {line.figure.key: line for line in _lines(*read)}
    is_last = query.window.end >= last_week(team).end
    return Digest(
        query=query,
        lines=tuple(lines[key] for key in SHOWN if key in lines),
        stages={key: lines[key] for key in STAGES if key in lines},
        stuck=read_stuck_sections(team) if has_stuck and is_last else (),
    )


def read_stuck_sections(team: Team) -> tuple[Section, ...]:
    """Return what is stuck now, a section for each kind of which there is any, with its latest ones."""
    return tuple(section for section in read_stuck([team], filters=Filters(most=MOST_STUCK)) if section.total)


def _lines(now: Sequence[FigureReading], before: Sequence[FigureReading]) -> Iterator[Line]:
    for one, other in zip(now, before, strict=True):
        yield Line(figure=FIGURES[one.figure], now=one, before=other)
