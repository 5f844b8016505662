"""Completeness: up to when everything is stored, and the gaps before then.

report = report_of(query.repositories)
report.of_team(start_at=window.start_at, end_at=window.end_at, streams=figure.streams).complete_until
"""

from collections.abc import Collection

from apps.metrics.completeness.completeness_report import STALE_AFTER, Completeness, Report
from apps.metrics.completeness.gaps import Gap, Reason
from apps.metrics.completeness.knowledge import read_knowledge
from apps.metrics.completeness.providers import Pending
from apps.metrics.completeness.streams import OF_FIGURES, every_stream

__all__ = [
    "OF_FIGURES",
    "STALE_AFTER",
    "Completeness",
    "Gap",
    "Reason",
    "Report",
    "every_stream",
    "report_of",
]


def report_of(
    repository_ids: Collection[int], *, streams: Collection[str] | None = None, pending: Pending | None = None
) -> Report:
    """Return a report on these streams, or all, of the repositories; the number of statements is constant."""
    wanted = every_stream() if streams is None else streams
    return Report(read_knowledge(repository_ids, streams=wanted, pending=pending))
