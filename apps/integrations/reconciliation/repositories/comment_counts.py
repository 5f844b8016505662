"""What is counted once a week: that there is a comment less, or a first run, moves nothing that a probe shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from apps.github.probes import ISSUE_COMMENTS, REVIEW_COMMENTS
from apps.github.responses import REFUSALS
from apps.integrations.backfill.walking import Reader, Unanswered
from apps.integrations.backfill.walks.run_windows import RunWindow, whole_seconds
from apps.integrations.reconciliation.repositories.deciding import Here

PATHS = {ISSUE_COMMENTS: "issues/comments", REVIEW_COMMENTS: "pulls/comments"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentCount:
    """How many comments GitHub lists, and how many are here."""

    listed: int
    ours: int


def count_comments(stream: str, *, repository_id: int, reader: Reader) -> int | None:
    """How many GitHub lists: with one on a page, the number of the last page. None where it refuses to list them."""
    try:
        answer = reader.get(f"/repositories/{repository_id}/{PATHS[stream]}", {"per_page": 1})
    except Unanswered as unanswered:
        if unanswered.answer.kind not in REFUSALS:
            raise
        return None
    return answer.last_page or len(answer.data)


def count_runs(repository_id: int, *, since: datetime, reader: Reader) -> int | None:
    """How many workflow runs GitHub has that began since then; None where it refuses to list them.

    A run that no push began moves nothing that a probe shows.
    """
    window = RunWindow(start=whole_seconds(since), end=whole_seconds(timezone.now()))
    asked = {"per_page": 1, "created": window.created}
    try:
        answer = reader.get(f"/repositories/{repository_id}/actions/runs", asked)
    except Unanswered as unanswered:
        if unanswered.answer.kind not in REFUSALS:
            raise
        return None
    total = answer.data.get("total_count") if isinstance(answer.data, Mapping) else None
    return total if isinstance(total, int) else None


def is_off(count: CommentCount, *, here: Here) -> bool:
    """Whether one of the counts changed without the other; for the first time, only a whole history can tell."""
    if here.kept is not None and here.kept.counted is not None:
        listed, ours = here.kept.counted
        return count.listed - listed != count.ours - ours
    return here.is_whole and count.listed != count.ours
