"""Completeness in sentences for people, and as the documents of the API, the commands and the tasks."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from apps.metrics.completeness import report_of
from apps.metrics.completeness.completeness_report import Completeness, Report
from apps.metrics.completeness.gaps import Gap, Reason
from apps.metrics.completeness.streams import every_stream
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

NAMED_IN_SENTENCE = 3
NAMED_IN_DOCUMENT = 20
WITHOUT_KEY = (
    "Live from webhooks only. Connect the App's private key (GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE, "
    "or `manage.py store_private_key`) to load history and verify that nothing is missing."
)


def explain_completeness(completeness: Completeness, *, report: Report, now: datetime) -> str:
    """Return a sentence that says up to when everything is stored, or why that is not known."""
    if completeness.complete_until is None:
        return _explain_unverified(completeness, report=report)
    until = format_moment(completeness.complete_until)
    if not completeness.is_stale(now=now):
        return f"Complete until {until}."
    if completeness.blocked_repository_ids:
        where = _name_repositories(completeness.blocked_repository_ids, names=report.names)
        return f"Complete only until {until}: a delivery of {where} could not be processed. An operator can replay it."
    return f"Complete only until {until}: later data has not been verified yet."


def explain_gap(gap: Gap, *, names: Mapping[int, str]) -> str:
    """Return a sentence that says what may be missing."""
    what, where = _name_streams(gap.streams), _name_repositories(gap.repository_ids, names=names)
    match gap.reason:
        case Reason.HISTORY:
            return f"The history before {format_moment(gap.to_at)} is not fully loaded: {what} of {where}."
        case Reason.UNREAD:
            period = f"from {format_moment(gap.from_at)} to {format_moment(gap.to_at)}"
            return f"Data may be missing {period}: {what} of {where}."
        case Reason.OUT_OF_REACH:
            return f"The App lost access to {where} at {format_moment(gap.from_at)}; later activity is not counted."


def explain_gap_briefly(gap: Gap, *, names: Mapping[int, str]) -> str:
    """Return the same in a few words, for a card."""
    match gap.reason:
        case Reason.HISTORY:
            return f"History before {_format_briefly(gap.to_at)} is not fully loaded."
        case Reason.UNREAD:
            return f"Data may be missing from {_format_briefly(gap.from_at)} to {_format_briefly(gap.to_at)}."
        case Reason.OUT_OF_REACH:
            where = _name_repositories(gap.repository_ids, names=names)
            return f"No access to {where} since {_format_briefly(gap.from_at)}."


def advise(gap: Gap) -> str:
    """Return what a person can do about the gap."""
    match gap.reason:
        case Reason.HISTORY:
            return "Start a backfill to load more history."
        case Reason.UNREAD:
            return "The nightly reconciliation loads it; start a backfill to load it now."
        case Reason.OUT_OF_REACH:
            return "Give the App access again on GitHub; what it missed is then loaded automatically."


def format_moment(at: datetime) -> str:
    """Return an instant to the minute, in UTC."""
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def _format_briefly(at: datetime) -> str:
    return f"{at.astimezone(UTC):%-d %b, %H:%M}"


def _name_streams(streams: Sequence[str]) -> str:
    if len(streams) == len(every_stream()):
        return "all streams"
    return ", ".join(stream.replace("_", " ") for stream in streams)


def _name_repositories(ids: Sequence[int], *, names: Mapping[int, str]) -> str:
    """Return the names of the repositories; of many, the first few and how many more."""
    named = sorted(names.get(each) or f"repository {each}" for each in ids)
    if len(named) <= NAMED_IN_SENTENCE:
        return ", ".join(named)
    return f"{', '.join(named[:NAMED_IN_SENTENCE])} and {len(named) - NAMED_IN_SENTENCE} more"


def _explain_unverified(completeness: Completeness, *, report: Report) -> str:
    if not completeness.has_repositories:
        return "No repositories yet."
    if not report.is_history_readable:
        return WITHOUT_KEY
    what = _name_streams(completeness.unread)
    where = _name_repositories(completeness.unread_repository_ids, names=report.names)
    return f"Not verified yet: the history of {where} is not fully loaded ({what}). The page Jobs shows the progress."


def describe_completeness(completeness: Completeness, *, names: Mapping[int, str]) -> dict[str, Any]:
    """Return the completeness as JSON."""
    until = completeness.complete_until
    return {
        "complete_until": None if until is None else format_instant(until),
        "gaps": [describe_gap(gap, names=names) for gap in completeness.gaps],
    }


def describe_with_sentence(completeness: Completeness, *, report: Report) -> dict[str, Any]:
    """Return the completeness as JSON, with a sentence for people."""
    sentence = explain_completeness(completeness, report=report, now=datetime.now(UTC))
    return {"completeness": sentence, **describe_completeness(completeness, names=report.names)}


def describe_team(team: Team) -> dict[str, Any]:
    """Return the completeness of every stream of all the team's repositories, from where reading began."""
    ids = repositories_of(Team.objects.filter(pk=team.pk)).order_by().values_list("pk", flat=True)
    report = report_of(ids)
    return describe_with_sentence(report.of_team(end_at=datetime.now(UTC)), report=report)


def describe_gap(gap: Gap, *, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a gap as JSON; of many repositories, the first few are named."""
    named = gap.repository_ids[:NAMED_IN_DOCUMENT]
    return {
        "from_at": format_instant(gap.from_at),
        "to_at": format_instant(gap.to_at),
        "reason": str(gap.reason),
        "explanation": explain_gap(gap, names=names),
        "streams": list(gap.streams),
        "repository_count": len(gap.repository_ids),
        "repositories": [{"github_id": each, "full_name": names.get(each, "")} for each in named],
    }


def format_instant(at: datetime) -> str:
    """Return an instant in ISO 8601, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
