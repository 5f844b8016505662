"""Completeness as the documents of the API, the commands and the tasks hold it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from apps.metrics.completeness import report_of
from apps.metrics.completeness.gaps import Gap, Reason
from apps.metrics.completeness.reports import Completeness, Report
from apps.metrics.completeness.streams import EVERY_STREAM, Stream
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

SHOWN = 3
"""Of many repositories, so many are named."""

WITHOUT_KEY = (
    "Cannot be checked without the App's private key: set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE, "
    "or run `manage.py store_private_key`."
)


def in_words(told: Completeness, *, report: Report, now: datetime) -> str:
    """Up to when everything is here, in a sentence; what keeps it from being so, where something does."""
    if told.complete_until is None:
        return _not_provable(told, report=report)
    until = moment(told.complete_until)
    if not told.is_stale(now=now):
        return f"Complete until {until}."
    if told.held_repository_ids:
        where = repositories_in_words(told.held_repository_ids, names=report.names)
        return f"Complete only until {until}: a delivery about {where} has no effect since; an operator can replay it."
    return f"Complete only until {until}, which is more than a day ago: what came later may not be all there was."


def gap_in_words(gap: Gap, *, names: Mapping[int, str]) -> str:
    """What may be missing, in a sentence."""
    what, where = streams_in_words(gap.streams), repositories_in_words(gap.repository_ids, names=names)
    match gap.reason:
        case Reason.HISTORY:
            return f"Before {moment(gap.to_at)}, not everything was read: {what} of {where}."
        case Reason.UNREAD:
            return f"From {moment(gap.from_at)} to {moment(gap.to_at)}, something may be missing: {what} of {where}."
        case Reason.OUT_OF_REACH:
            return f"Since {moment(gap.from_at)} the App reaches {where} no more: what happens there does not count."


def gap_briefly(gap: Gap, *, names: Mapping[int, str]) -> str:
    """The same in a few words, for where there is little room."""
    match gap.reason:
        case Reason.HISTORY:
            return f"Not everything before {_briefly(gap.to_at)} was read."
        case Reason.UNREAD:
            return f"Something may be missing from {_briefly(gap.from_at)} to {_briefly(gap.to_at)}."
        case Reason.OUT_OF_REACH:
            return f"Without {repositories_in_words(gap.repository_ids, names=names)} since {_briefly(gap.from_at)}."


def advice(gap: Gap) -> str:
    """What somebody can do about it."""
    match gap.reason:
        case Reason.HISTORY:
            return "Have more of the history read."
        case Reason.UNREAD:
            return "The nightly reconciliation reads it again; to have it sooner, start a backfill."
        case Reason.OUT_OF_REACH:
            return "Give the App access again on GitHub: what it missed is read by itself then."


def moment(at: datetime) -> str:
    """An instant to the minute, in UTC."""
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def streams_in_words(streams: Sequence[Stream]) -> str:
    """The streams by name, or that it is all of them."""
    if len(streams) == len(EVERY_STREAM):
        return "everything"
    return ", ".join(stream.replace("_", " ") for stream in streams)


def repositories_in_words(ids: Sequence[int], *, names: Mapping[int, str]) -> str:
    """The repositories by name; of many, the first few and how many more."""
    named = sorted(names.get(each) or f"repository {each}" for each in ids)
    if len(named) <= SHOWN:
        return ", ".join(named)
    return f"{', '.join(named[:SHOWN])} and {len(named) - SHOWN} more"


def _briefly(at: datetime) -> str:
    return f"{at.astimezone(UTC):%-d %b, %H:%M}"


def _not_provable(told: Completeness, *, report: Report) -> str:
    if not told.has_repositories:
        return "Nothing to be complete: there is no repository yet."
    if not report.is_history_readable:
        return WITHOUT_KEY
    what = streams_in_words(told.unread)
    where = repositories_in_words(told.unread_repository_ids, names=report.names)
    return f"Not complete yet: the history of {where} was not read to its end ({what}); backfills say how far it is."


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
