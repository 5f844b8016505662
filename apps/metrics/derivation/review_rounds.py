"""Review rounds: a review that asked for changes, then a push of the author that it had not seen.

GitHub's API has no times of pushes. Webhooks know it; for what they missed there are the commits of the
head in their order, the force pushes, and of each review the commit that it was made on. So reviews and pushes are
compared by the commits themselves: the history of a pull request comes to the same rounds as its webhooks.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.activity.models import PullRequestEvent
from apps.common import db
from apps.metrics.derivation.timeline import SAME_EVENT, Happening
from apps.metrics.derived_row_writer import Scope, as_json

Kind = PullRequestEvent.Kind
READ_LISTED = """
    WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row (repository_id bigint, number integer))
    SELECT repository_id, number, kept.sha, coalesce(committed_at, authored_at, pull.created_at),
           is_by_author = 1
    FROM scopes JOIN activity_pullrequest AS pull USING (repository_id, number)
    JOIN activity_pullrequestcommit AS kept USING (repository_id, number, head_sha)
    WHERE position IS NOT NULL AND pull.listed_head_sha = pull.head_sha
    ORDER BY repository_id, number, position
"""


@dataclass(frozen=True, slots=True)
class Move:
    """A commit that the head moved to or past."""

    at: datetime
    sha: str
    is_by_author: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """A review: its time, and its commit; None if GitHub has lost it."""

    at: datetime
    sha: str | None


@dataclass(frozen=True, slots=True)
class Pushes:
    """The known pushes of one pull request. `listed`: all commits of its head, if they are known."""

    opened_at: datetime
    author_id: int | None
    head_sha: str
    history: Sequence[Happening]
    listed: Sequence[Move] = ()

    @property
    def reported(self) -> list[Move]:
        """Return the moves of the head reported by webhooks or force pushes, with their time and actor."""
        return [
            Move(each.at, each.subject, each.actor_id in (None, self.author_id))
            for each in self.history
            if each.kind in (Kind.HEAD_MOVED, Kind.FORCE_PUSHED)
        ]

    @property
    def are_reported(self) -> bool:
        """Return whether webhooks reported all pushes: the first head and the last one."""
        is_opening_reported = any(
            each.kind == Kind.HEAD_MOVED and each.at <= self.opened_at + SAME_EVENT for each in self.history
        )
        return is_opening_reported and any(move.sha == self.head_sha for move in self.reported)


def read_listed(scopes: Sequence[Scope]) -> dict[Scope, list[Move]]:
    """Return the commits of the pull requests' heads in order; empty if they are not all known."""
    listed: dict[Scope, list[Move]] = defaultdict(list)
    for repository_id, number, sha, committed_at, is_by_author in db.run(
        READ_LISTED, [as_json(("repository_id", "number"), scopes)]
    ):
        listed[repository_id, number].append(Move(committed_at, sha, is_by_author))
    return listed


def review_rounds(
    pushes: Pushes, *, asked: Sequence[Seen], approved: Seen | None, reviews: Iterable[Seen]
) -> int | None:
    """Return the rounds up to the first approval; None if the pushes are unknown.

    `asked` are the reviews that asked for something, `reviews` are all of them: a commit that somebody reviewed, and
    that is in the list of commits no more, was the head then.
    """
    if not asked:
        return 0
    counted = (*asked, approved) if approved else asked
    is_known_by_history = bool(pushes.listed) and all(each.sha for each in counted)
    if not (pushes.are_reported or is_known_by_history):
        return None
    moves = moves_of(pushes, reviews=reviews if pushes.listed else ())
    end = _count_seen(approved, moves) if approved else len(moves)
    marks = sorted({_count_seen(each, moves) for each in asked})
    ends = [min(mark, end) for mark in (*marks[1:], end)]
    return sum(any(move.is_by_author for move in moves[mark:until]) for mark, until in zip(marks, ends, strict=True))


def moves_of(pushes: Pushes, *, reviews: Iterable[Seen]) -> list[Move]:
    """Return all known moves of the head in order; unknown actors count as the author."""
    reported = pushes.reported
    moves = [*reported, *_placed(pushes.listed, reported=reported)]
    known = {move.sha for move in moves}
    for each in sorted(reviews, key=lambda each: each.at):
        if each.sha and each.sha not in known:
            known.add(each.sha)
            moves.append(Move(each.at, each.sha, is_by_author=True))
    moves.sort(key=lambda move: move.at)
    return [move for place, move in enumerate(moves) if place == 0 or move.sha != moves[place - 1].sha]


def _placed(listed: Sequence[Move], *, reported: Iterable[Move]) -> list[Move]:
    """Return the listed commits that were not reported, at their dates but not before their predecessor."""
    reported_at = {move.sha: move.at for move in reported}
    placed, latest = [], None
    for commit in listed:
        at = reported_at.get(commit.sha, commit.at)
        latest = max(latest, at) if latest else at
        if commit.sha not in reported_at:
            placed.append(Move(latest, commit.sha, commit.is_by_author))
    return placed


def _count_seen(review: Seen, moves: Sequence[Move]) -> int:
    """Return how many of the moves a review had seen, by its commit or otherwise by its time."""
    places = [place for place, move in enumerate(moves, start=1) if move.sha == review.sha]
    if places:
        return max((place for place in places if moves[place - 1].at <= review.at), default=places[0])
    return sum(move.at <= review.at for move in moves)
