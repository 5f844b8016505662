"""The times of pull requests, by their definitions."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.calculator.facts import AGENTS, Facts, Row

AI_REVIEWERS = {"coderabbitai[bot]"}
AI_EMAILS = ("<noreply@anthropic.com>", "<198982749+Copilot@users.noreply.github.com>")
SAME = timedelta(seconds=10)
YEAR = timedelta(days=365)
Interval = tuple[datetime, datetime | None]


@dataclass
class Request:
    """A review that was requested; without an account it was of a team of GitHub."""

    account_id: int | None
    requested_at: datetime
    answered_at: datetime | None = None
    withdrawn_at: datetime | None = None


@dataclass
class PullRequest:
    """A pull request with what its history says."""

    fact: Row
    is_bot: bool
    ready_at: datetime | None
    drafts: list[Interval]
    closings: list[Interval]
    reviews: list[Row]
    first_review_at: datetime | None
    first_approval_at: datetime | None
    first_commit_at: datetime | None
    first_response_at: datetime | None
    requests: list["Request"]
    rounds: int | None
    queue_seconds: float | None
    landing: tuple[datetime, int] | None
    is_agent: bool
    person_id: int | None
    """The person to whom it is attributed, if an agent opened it."""
    is_ai_assisted: bool
    is_ai_reviewed: bool
    stages: list[int] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        return self.fact.repository_id, self.fact.number

    @property
    def ended_at(self) -> datetime | None:
        at: datetime | None = self.fact.merged_at or self.fact.closed_at
        return at

    @property
    def reverts(self) -> int | None:
        found = re.search(r"\breverts #(\d+)", self.fact.body, re.IGNORECASE)
        return int(found[1]) if found else None

    @property
    def is_hotfix(self) -> bool:
        return self.fact.head_ref.startswith("hotfix/") or "hotfix" in (self.fact.labels or ())

    def is_draft_at(self, at: datetime) -> bool:
        return any(since <= at and (until is None or at < until) for since, until in self.drafts)

    def is_open_at(self, at: datetime) -> bool:
        is_closed = any(since <= at and (until is None or at < until) for since, until in self.closings)
        return self.fact.created_at <= at and not is_closed and (self.ended_at is None or self.ended_at > at)

    def draft_seconds(self, as_of: datetime) -> float:
        return sum(max(0.0, (min(until or as_of, as_of) - since).total_seconds()) for since, until in self.drafts)


def pull_requests(facts: Facts) -> list[PullRequest]:
    return [_pull_request(facts, fact) for fact in facts.pull_requests]


def _pull_request(facts: Facts, fact: Row) -> PullRequest:
    key = fact.repository_id, fact.number
    events, ended_at = facts.events.get(key, []), fact.merged_at or fact.closed_at
    ready_at, drafts = _drafts(fact, events)
    reviews = facts.reviews.get(key, [])
    by_others = [one for one in reviews if one.author_id != fact.author_id and facts.is_human(one.author_id)]
    counted = [one for one in by_others if ended_at is None or one.submitted_at <= ended_at]
    is_agent = facts.login_of(fact.author_id) in AGENTS
    approvals = [one.submitted_at for one in counted if one.verdict == "approved"]
    found = PullRequest(
        fact=fact,
        is_bot=not facts.is_human(fact.author_id),
        ready_at=ready_at,
        drafts=_until(ended_at, drafts),
        closings=_closings(fact, events),
        reviews=reviews,
        first_review_at=counted[0].submitted_at if counted else None,
        first_approval_at=approvals[0] if approvals else None,
        first_commit_at=_first_commit(facts, fact, events, ready_at),
        first_response_at=_first_response(facts, fact, counted),
        requests=_requests(events, reviews),
        rounds=_rounds(fact, events, counted),
        queue_seconds=_queue_seconds(fact, events),
        landing=_landing(facts, fact),
        is_agent=is_agent,
        person_id=_person(facts, fact, events) if is_agent else None,
        is_ai_assisted=not is_agent and _is_signed_by_ai(facts, fact, events),
        is_ai_reviewed=any(
            facts.login_of(one.author_id) in AI_REVIEWERS and (ended_at is None or one.submitted_at <= ended_at)
            for one in reviews
        ),
    )
    if fact.merged_at:
        found.stages = _stages(found)
    return found


def _first_response(facts: Facts, fact: Row, counted: list[Row]) -> datetime | None:
    ended_at = fact.merged_at or fact.closed_at
    by_others = [
        one.created_at
        for one in facts.comments.get((fact.repository_id, fact.number), [])
        if one.author_id != fact.author_id and facts.is_human(one.author_id)
    ]
    comments = [at for at in by_others if ended_at is None or at <= ended_at]
    return min((*comments, *(one.submitted_at for one in counted)), default=None)


def _requests(events: list[Row], reviews: list[Row]) -> list[Request]:
    """Return the requests of everybody; each ends with the next review of theirs, or when it is withdrawn."""
    line = [(one.submitted_at, 0, str(one.author_id)) for one in reviews]
    line += [(one.at, 1, one.subject) for one in events if one.kind == "review_request_removed"]
    line += [(one.at, 2, one.subject) for one in events if one.kind == "review_requested"]
    found: list[Request] = []
    waiting: dict[str, Request] = {}
    for at, what, subject in sorted(line):
        if what == 2 and subject not in waiting:
            waiting[subject] = Request(int(subject) if subject.isdecimal() else None, at)
            found.append(waiting[subject])
        elif what == 1 and subject in waiting:
            waiting.pop(subject).withdrawn_at = at
        elif what == 0 and subject in waiting:
            waiting.pop(subject).answered_at = at
    return found


def _drafts(fact: Row, events: list[Row]) -> tuple[datetime | None, list[Interval]]:
    turns = [one for one in events if one.kind in ("ready_for_review", "converted_to_draft")]
    was_draft = turns[0].kind == "ready_for_review" if turns else fact.is_draft
    ready = [one.at for one in turns if one.kind == "ready_for_review"]
    since = fact.created_at if was_draft else None
    drafts: list[Interval] = []
    for one in turns:
        if one.kind == "converted_to_draft":
            since = since or one.at
        elif since is not None:
            drafts.append((since, one.at))
            since = None
    if since is not None:
        drafts.append((since, None))
    return (ready[0] if ready else None) if was_draft else fact.created_at, drafts


def _queue_seconds(fact: Row, events: list[Row]) -> float | None:
    """Return the seconds that follow an entry into the merge queue, each up to whatever comes next."""
    moved = [one for one in events if one.kind in ("enqueued", "dequeued")]
    moves = [one for one in moved if fact.merged_at and one.at <= fact.merged_at]
    following = [*(one.at for one in moves[1:]), fact.merged_at]
    stays = [until - one.at for one, until in zip(moves, following, strict=False) if one.kind == "enqueued"]
    return sum(stays, timedelta()).total_seconds() if stays else None


def _until(end: datetime | None, intervals: list[Interval]) -> list[Interval]:
    if end is None:
        return intervals
    return [(since, min(until or end, end)) for since, until in intervals if since < end]


def _closings(fact: Row, events: list[Row]) -> list[Interval]:
    closed = [one.at for one in events if one.kind == "closed"]
    if fact.merged_at:
        closed = [at for at in closed if at < fact.merged_at - SAME]
    reopened = [one.at for one in events if one.kind == "reopened"]
    return [(at, min((back for back in reopened if back >= at), default=fact.merged_at)) for at in closed]


def _person(facts: Facts, fact: Row, events: list[Row]) -> int | None:
    requesters = [one.actor_id for one in events if one.kind == "review_requested"]
    known = [one for one in (*(fact.assignee_ids or ()), *requesters) if one in facts.accounts]
    return next((one for one in known if facts.is_human(one)), None)


def _is_signed_by_ai(facts: Facts, fact: Row, events: list[Row]) -> bool:
    if any(line.lower().startswith("co-authored-by:") and line.endswith(AI_EMAILS) for line in fact.body.splitlines()):
        return True
    shas = [*(one.sha for one in _own_commits(facts, fact, events)), fact.merge_sha]
    lines = (line for sha in shas for line in facts.trailers.get((fact.repository_id, sha), []))
    return any(line.token == "co-authored-by" and line.value.endswith(AI_EMAILS) for line in lines)


def _own_commits(facts: Facts, fact: Row, events: list[Row]) -> list[Row]:
    """Return the commits that the pushes of its branch brought, except what had landed before."""
    pushes = {one.after_sha: one for one in facts.pushes.get((fact.repository_id, f"refs/heads/{fact.head_ref}"), [])}
    heads, seen, found = (
        [fact.head_sha, *(one.subject for one in events if one.kind == "head_moved")],
        set(),
        list[Row](),
    )
    while heads:
        push = pushes.get(heads.pop())
        if push is None or push.after_sha in seen:
            continue
        seen.add(push.after_sha)
        heads.append(push.before_sha)
        for sha in push.distinct_shas or push.commit_shas:
            commit = facts.commits[fact.repository_id, sha]
            if commit.landed_at is None or commit.landed_at >= push.pushed_at:
                found.append(commit)
    return found


def _first_commit(facts: Facts, fact: Row, events: list[Row], ready_at: datetime | None) -> datetime | None:
    authored = [
        one.committed_at if _is_copy(facts, one) else one.authored_at for one in _own_commits(facts, fact, events)
    ]
    if not authored:
        return None
    first = max(min(authored), fact.created_at - YEAR)
    return min(first, ready_at) if ready_at else first


def _is_copy(facts: Facts, commit: Row) -> bool:
    """Return whether another commit of the same author date had landed when it was committed."""
    return commit.committed_at > commit.authored_at and any(
        one.repository_id == commit.repository_id
        and one.sha != commit.sha
        and one.authored_at == commit.authored_at
        and (at := one.landed_at or one.presumed_landed_at) is not None
        and at <= commit.committed_at
        for one in facts.commits.values()
    )


def _rounds(fact: Row, events: list[Row], counted: list[Row]) -> int | None:
    """Return how often an answer by push followed reviews that asked for something, up to the first approval."""
    pushes = [one for one in events if one.kind in ("head_moved", "force_pushed")]
    approval = next((one for one in counted if one.verdict == "approved"), None)
    asking = [one for one in counted if one.verdict in ("changes_requested", "commented")]
    asking = [one for one in asking if approval is None or one.submitted_at <= approval.submitted_at]
    if not asking:
        return 0
    is_known = any(one.at <= fact.created_at + SAME for one in pushes)
    if not is_known or fact.head_sha not in {one.subject for one in pushes}:
        return None
    end = approval.submitted_at if approval else None
    line: list[tuple[datetime, int, Any]] = [(one.at, 0, one) for one in pushes if end is None or one.at <= end]
    line += [(one.submitted_at, 1, one) for one in asking]
    rounds, is_asked = 0, False
    for _, is_review, one in sorted(line, key=lambda each: each[:2]):
        if is_review:
            is_asked = True
        elif is_asked and one.actor_id in (None, fact.author_id):
            rounds, is_asked = rounds + 1, False
    return rounds


def _landing(facts: Facts, fact: Row) -> tuple[datetime, int] | None:
    """Return where its merge stands; what was merged into the branch of another stands where that one does."""
    one = fact
    for _ in range(10):
        if one is None or one.merged_at is None:
            return None
        if place := facts.landing(one.repository_id, one.merge_sha):
            return place
        above = [
            other
            for other in facts.pull_requests
            if other.repository_id == one.repository_id and other.head_ref == one.base_ref
            if other.number != one.number and other.merged_at and other.merged_at >= one.merged_at
        ]
        one = min(above, key=lambda other: (other.merged_at, other.number), default=None)
    return None


def _stages(one: PullRequest) -> list[int]:
    """Return the seconds of coding, pickup, review and merge; what is missing is where the next one is."""
    start = one.first_commit_at or one.ready_at or one.fact.created_at
    ends = [one.ready_at, one.first_review_at, one.first_approval_at, one.fact.merged_at]
    marks: list[datetime] = [start]
    for place, end in enumerate(ends):
        at = end or next(later for later in ends[place:] if later)
        marks.append(min(max(at, marks[-1]), one.fact.merged_at))
    marks[0] = min(start, one.fact.merged_at)
    seconds = [int(at.timestamp()) for at in marks]
    return [later - earlier for earlier, later in pairwise(seconds)]
