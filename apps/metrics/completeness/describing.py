"""Completeness as the documents of the API, the commands and the tasks hold it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apps.metrics.completeness import Completeness, Gap, Report, report_of
from apps.metrics.completeness.wording import gap_in_words, in_words
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

NAMED = 20
"""Of the repositories of a gap, so many are named."""


def describe_completeness(told: Completeness, *, names: Mapping[int, str]) -> dict[str, Any]:
    """As JSON knows it."""
    return {
        "complete_until": None if told.complete_until is None else instant(told.complete_until),
        "gaps": [describe_gap(gap, names=names) for gap in told.gaps],
    }


def describe_in_words(told: Completeness, *, report: Report) -> dict[str, Any]:
    """As JSON knows it, with a sentence for people."""
    sentence = in_words(told, report=report, now=datetime.now(UTC))
    return {"completeness": sentence, **describe_completeness(told, names=report.names)}


def describe_team(team: Team) -> dict[str, Any]:
    """What is complete of every stream of all the team's repositories, from where reading began."""
    ids = repositories_of(Team.objects.filter(pk=team.pk)).order_by().values_list("pk", flat=True)
    report = report_of(ids)
    return describe_in_words(report.of_team(end_at=datetime.now(UTC)), report=report)


def describe_gap(gap: Gap, *, names: Mapping[int, str]) -> dict[str, Any]:
    """A gap as JSON knows it; of many repositories, the first few are named."""
    return {
        "from_at": instant(gap.from_at),
        "to_at": instant(gap.to_at),
        "reason": str(gap.reason),
        "explanation": gap_in_words(gap, names=names),
        "streams": [str(stream) for stream in gap.streams],
        "repository_count": len(gap.repository_ids),
        "repositories": [{"github_id": each, "full_name": names.get(each, "")} for each in gap.repository_ids[:NAMED]],
    }


def instant(at: datetime) -> str:
    """An instant as the documents write it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
