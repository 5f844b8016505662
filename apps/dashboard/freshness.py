"""How fresh and complete the figures of a page are: in a few words, with the sentences behind them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.dashboard.cards import status_of
from apps.metrics.completeness import Completeness, Report
from apps.metrics.completeness.descriptions import advise, explain_completeness, explain_gap
from apps.metrics.figures import FigureQuery
from apps.metrics.figures.figure_reader import completeness_by_figure, completeness_of

SHOWN_GAPS = 5
HISTORY_MISSING = "history not fully loaded"
KEY_MISSING = "connect the App's key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The completeness of the figures of a page together, and when GitHub last sent something."""

    overall: Completeness
    report: Report
    status: str
    last_received_at: datetime | None = None
    is_recalculating: bool = False

    @property
    def badge(self) -> str:
        """Return what the badge says, where it has no time."""
        if self.status == "partial":
            return "Partly verified"
        if not self.overall.has_repositories:
            return "No repositories yet"
        return f"Unverified \N{MIDDLE DOT} {HISTORY_MISSING if self.report.is_history_readable else KEY_MISSING}"

    @property
    def sentence(self) -> str:
        return explain_completeness(self.overall, report=self.report, now=datetime.now(UTC))

    @property
    def gaps(self) -> list[tuple[str, str]]:
        """Return a sentence and an advice for each gap, of the first few."""
        names = self.report.names
        return [(explain_gap(gap, names=names), advise(gap)) for gap in self.overall.gaps[:SHOWN_GAPS]]

    @property
    def further_gaps(self) -> int:
        return max(0, len(self.overall.gaps) - SHOWN_GAPS)


def freshness_of(query: FigureQuery, *, keys: Collection[str], last_received_at: datetime | None = None) -> Freshness:
    """Return the freshness of these figures."""
    complete = completeness_by_figure(query, keys=keys)
    overall = completeness_of(query, keys=keys)
    return Freshness(
        overall=overall,
        report=query.report,
        status=status_of(overall, is_partly=any(found.complete_until for found in complete.values())),
        last_received_at=last_received_at,
        is_recalculating=query.is_recalculating,
    )
