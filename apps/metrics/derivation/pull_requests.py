"""Derivation of pull requests: times, closings and reviews."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.metrics.derivation import review_requests, shipments, timeline
from apps.metrics.derivation.ai_evidence import Evidence, Kind, Reviewer, Signs, evidence_of, evidence_rows
from apps.metrics.derivation.commits import first_commit
from apps.metrics.derivation.deployment_rules import Rules, read_rules
from apps.metrics.derivation.pull_request_facts import (
    ASKING,
    SCOPE,
    Facts,
    State,
    SubmittedReview,
    Verdict,
    counted_reviews,
    read_facts,
)
from apps.metrics.derivation.review_rounds import Pushes, review_rounds
from apps.metrics.derivation.shipments import Merge, reverted_number
from apps.metrics.derivation.stages import NO_STAGES, Boundaries, Stages, stages
from apps.metrics.derivation.timeline import Happening
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope
from apps.metrics.models import DerivedClosing, DerivedPullRequest, DerivedReview

PULL_REQUESTS = DerivedTable(model=DerivedPullRequest, key=SCOPE, scope=SCOPE)
CLOSINGS = DerivedTable(model=DerivedClosing, key=(*SCOPE, "closed_at"), scope=SCOPE)
REVIEWS = DerivedTable(model=DerivedReview, key=("review_id",), scope=SCOPE)


@dataclass(frozen=True, slots=True)
class Derived:
    """The rows of some pull requests."""

    pull_requests: list[Row]
    closings: list[Row]
    reviews: list[Row]
    requests: list[Row]
    evidence: list[Row]
    shipments: list[Row]


def derive(scopes: Sequence[Scope]) -> Derived:
    """Read the facts of the pull requests, all of them at once, and derive their rows."""
    return rows_of(read_facts(scopes))


def rows_of(facts: Sequence[Facts]) -> Derived:
    """Return the rows of pull requests with these facts."""
    rules = read_rules(each.state.repository_id for each in facts)
    merges = list[Merge]()
    derived = Derived([], [], [], [], [], [])
    for each in facts:
        state, place = each.state, each.place
        times = times_of(each)
        until_merge = _until_merge(state, times=times)
        identity, evidence, repairs = _identity(each), evidence_of(_signs(each)), _repairs(state, rules=rules)
        derived.pull_requests.append(
            PULL_REQUESTS.row(
                **identity,
                **times,
                **_present(state, evidence=evidence),
                **_merging(state, history=each.history),
                **repairs,
                landed_at=place.at if place else None,
                **(until_merge.columns if until_merge else NO_STAGES),
            )
        )
        if place and until_merge:
            merged_at = state.merged_at or place.at
            merges.append(Merge(**identity, **repairs, until_merge=until_merge, merged_at=merged_at, place=place))
        derived.closings.extend(_closings(state, identity=identity, history=each.history))
        derived.evidence.extend(evidence_rows(each.scope, evidence))
        derived.reviews.extend(_review_row(each.scope, review) for review in each.reviews)
        reviewed = ((review.reviewer_id, review.submitted_at) for review in each.reviews)
        derived.requests.extend(review_requests.derive(each.scope, each.requests, reviews=reviewed))
    derived.shipments.extend(shipments.derive(merges))
    return derived


def _until_merge(state: State, *, times: Mapping[str, Any]) -> Stages | None:
    """Return the stages of a merged pull request. Where no commit is known it starts when it was ready, or opened."""
    if state.merged_at is None:
        return None
    return stages(
        Boundaries(
            started_at=times["first_commit_at"] or times["ready_at"] or state.opened_at,
            ready_at=times["ready_at"],
            first_review_at=times["first_review_at"],
            first_approval_at=times["first_approval_at"],
            merged_at=state.merged_at,
        )
    )


def _signs(facts: Facts) -> Signs:
    state = facts.state
    return Signs(
        author_login=state.author_login,
        author_class=state.author_class,
        head_ref=state.head_ref,
        body=state.body,
        labels=state.labels or (),
        lines=facts.commits.trailers,
        reviewers=[
            Reviewer(each.reviewer_login, each.reviewer_class)
            for each in facts.reviews
            if not each.is_by_author and (state.ended_at is None or each.submitted_at <= state.ended_at)
        ],
    )


def _repairs(state: State, *, rules: Rules) -> dict[str, Any]:
    """Return which pull request it reverts, and whether it is a hotfix."""
    names = {"branch": [state.head_ref], "label": state.labels or (), "title": [state.title]}
    return {
        "reverts_number": reverted_number(body=state.body, title=state.title, head_ref=state.head_ref),
        "is_hotfix": rules.is_hotfix(state.repository_id, names),
    }


def _merging(state: State, *, history: Sequence[Happening]) -> dict[str, Any]:
    if state.merged_at is None:
        return {"queue_seconds": None, "queue_starts": None, "queue_ends": None, "is_auto_merged": False}
    stays = timeline.in_queue(history, merged_at=state.merged_at)
    return {
        "queue_seconds": timeline.seconds_in_queue(stays),
        "queue_starts": tuple(since for since, _ in stays) or None,
        "queue_ends": tuple(until for _, until in stays) or None,
        "is_auto_merged": timeline.is_auto_merged(history, merged_at=state.merged_at),
    }


def _present(state: State, *, evidence: Iterable[Evidence]) -> dict[str, Any]:
    kinds = {one.kind for one in evidence}
    return {
        "is_draft": state.is_draft,
        "size": state.size,
        "merge_sha": state.merge_sha,
        "is_ai_assisted": Kind.ASSISTED in kinds,
        "is_ai_reviewed": Kind.REVIEWED in kinds,
    }


def _identity(facts: Facts) -> dict[str, Any]:
    """Return which pull request it is and whose, as every row about it says."""
    state = facts.state
    return {
        "repository_id": state.repository_id,
        "number": state.number,
        "author_id": state.author_id,
        "author_class": state.author_class,
        "is_bot_author": state.is_bot_author,
        "attributed_to_id": facts.attributed_to_id,
    }


def times_of(facts: Facts) -> dict[str, Any]:
    """Return when it began, was reviewed and ended, how long each took, and what is odd about it, by column."""
    state, history, commits = facts.state, facts.history, facts.commits
    drafts = _drafts(state, history=history)
    started = first_commit(commits, opened_at=state.opened_at, ready_at=drafts.ready_at)
    counted = counted_reviews(facts.reviews, until=state.ended_at)
    first_review_at = counted[0].submitted_at if counted else None
    first_approval = next((each for each in counted if each.verdict == Verdict.APPROVED), None)
    pushes = Pushes(state.opened_at, state.author_id, state.head_sha, history, facts.listed)
    wait_ended_at = _latest(first_review_at, drafts.ready_at)
    return {
        "opened_at": state.opened_at,
        "is_opened_as_draft": drafts.is_opened_as_draft,
        "ready_at": drafts.ready_at,
        "first_commit_at": started.at,
        "is_first_commit_adjusted": started.is_adjusted,
        "first_review_at": first_review_at,
        "first_approval_at": first_approval.submitted_at if first_approval else None,
        "review_wait_ended_at": wait_ended_at,
        "merged_at": state.merged_at,
        "closed_at": state.ended_at,
        "draft_starts": tuple(each.since for each in drafts.intervals),
        "draft_ends": tuple(each.until for each in drafts.intervals),
        "cycle_seconds": _seconds(drafts.ready_at, state.merged_at),
        "first_review_seconds": _seconds(drafts.ready_at, wait_ended_at),
        "review_rounds": _rounds(pushes, reviews=facts.reviews, counted=counted, approval=first_approval),
        "is_reviewed_in_draft": _is_reviewed_in_draft(counted, drafts=drafts),
        "is_reopened": any(each.kind == timeline.Kind.REOPENED for each in history),
        "is_force_pushed": commits.is_force_pushed or any(each.kind == timeline.Kind.FORCE_PUSHED for each in history),
        "is_cherry_picked": commits.is_cherry_picked,
        **_response(state, ready_at=drafts.ready_at, first_review_at=first_review_at),
    }


def _response(state: State, *, ready_at: datetime | None, first_review_at: datetime | None) -> dict[str, Any]:
    """Return the first response, a review or a comment, and how long it took, by column."""
    first_at = min((at for at in (first_review_at, state.commented_at) if at), default=None)
    ended_at = _latest(first_at, ready_at)
    return {
        "first_response_at": first_at,
        "response_wait_ended_at": ended_at,
        "first_response_seconds": _seconds(ready_at, ended_at),
    }


def _drafts(state: State, *, history: Sequence[Happening]) -> timeline.Drafts:
    return timeline.drafts(
        history,
        opened_at=state.opened_at,
        ended_at=state.ended_at,
        is_draft=state.is_draft,
        updated_at=state.updated_at,
    )


def _latest(first: datetime | None, second: datetime | None) -> datetime | None:
    return max(first, second) if first and second else None


def _seconds(since: datetime | None, until: datetime | None) -> int | None:
    """Never negative: what ended before it began took no time."""
    return max(0, round((until - since).total_seconds())) if since and until else None


def _is_reviewed_in_draft(counted: Iterable[SubmittedReview], *, drafts: timeline.Drafts) -> bool:
    """Return whether the first review came before anybody asked for it."""
    first = next(iter(counted), None)
    return first is not None and (drafts.ready_at is None or first.submitted_at < drafts.ready_at)


def _rounds(
    pushes: Pushes,
    *,
    reviews: Iterable[SubmittedReview],
    counted: Iterable[SubmittedReview],
    approval: SubmittedReview | None,
) -> int | None:
    until = approval.submitted_at if approval else None
    asked = [each for each in counted if each.verdict in ASKING and (until is None or each.submitted_at <= until)]
    return review_rounds(
        pushes,
        asked=[each.seen for each in asked],
        approved=approval.seen if approval else None,
        reviews=[each.seen for each in reviews],
    )


def _closings(state: State, *, identity: Mapping[str, Any], history: Sequence[Happening]) -> list[Row]:
    intervals = timeline.closings(
        history, merged_at=state.merged_at, closed_at=state.closed_at, updated_at=state.updated_at
    )
    return [
        CLOSINGS.row(
            **identity,
            closed_at=each.since,
            reopened_at=each.until,
        )
        for each in intervals
    ]


def _review_row(scope: Scope, review: SubmittedReview) -> Row:
    repository_id, number = scope
    return REVIEWS.row(
        review_id=review.review_id,
        repository_id=repository_id,
        number=number,
        reviewer_id=review.reviewer_id,
        submitted_at=review.submitted_at,
        verdict=review.verdict,
        is_by_bot=review.is_by_bot,
        is_by_author=review.is_by_author,
    )
