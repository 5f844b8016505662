"""Facts to record, with everything a test does not care about filled in."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import transaction

from apps.activity import facts
from apps.activity.record import record

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REPOSITORY_ID = 101
PULL_REQUEST = {"repository_id": REPOSITORY_ID, "number": 7}
deliveries = count(1)


def at(seconds: int) -> datetime:
    return MONDAY + timedelta(seconds=seconds)


def stamp(seconds: int, *, observed: int | None = None, version: int = 1, is_merged: bool = False) -> facts.Stamp:
    return facts.Stamp(
        source_updated_at=at(seconds),
        observed_at=None if observed is None else at(observed),
        translator_version=version,
        is_merged=is_merged,
    )


def tell(*told: facts.Fact) -> None:
    """Record the facts as one delivery."""
    with transaction.atomic():
        record([facts.evidence(facts.Source(kind="delivery", key=str(next(deliveries))), told)])


def tell_one_by_one(told: Iterable[facts.Fact]) -> None:
    for fact in told:
        tell(fact)


def filler(kind: type[facts.Fact], /, **defaults: Any) -> Callable[..., Any]:
    return lambda **given: kind(**(defaults | given))


core = filler(
    facts.PullRequestCore,
    **PULL_REQUEST,
    stamp=stamp(0),
    github_id=7007,
    title="Add a door",
    state="open",
    is_draft=False,
    author_id=11,
    author_association="MEMBER",
    created_at=at(0),
    updated_at=at(0),
    closed_at=None,
    merged_at=None,
    merge_sha=None,
    base_ref="main",
    head_ref="door",
    head_sha="a" * 40,
    is_cross_repository=False,
)
sizes = filler(
    facts.PullRequestSizes,
    **PULL_REQUEST,
    stamp=stamp(0),
    additions=10,
    deletions=2,
    changed_files=3,
    commit_count=1,
    merged_by_id=None,
)
labels = filler(facts.PullRequestLabels, **PULL_REQUEST, stamp=stamp(0), labels=())
happened = filler(
    facts.PullRequestHappened,
    **PULL_REQUEST,
    kind="review_requested",
    subject="12",
    at=at(0),
    source="webhook",
    actor_id=11,
)
submitted = filler(
    facts.ReviewSubmitted,
    **PULL_REQUEST,
    stamp=stamp(0),
    github_id=501,
    author_id=12,
    submitted_at=at(60),
    commit_sha=None,
)
verdict = filler(facts.ReviewVerdict, **PULL_REQUEST, stamp=stamp(60), github_id=501, verdict="approved")
dismissed = filler(facts.ReviewDismissed, **PULL_REQUEST, github_id=501, dismissed_at=at(120))
comment = filler(
    facts.IssueCommentState,
    **PULL_REQUEST,
    stamp=stamp(0),
    github_id=901,
    is_on_pull_request=True,
    author_id=12,
    created_at=at(0),
)
comment_deleted = filler(facts.IssueCommentDeleted, **PULL_REQUEST, github_id=901, deleted_at=at(30))
repository = filler(
    facts.RepositoryState,
    stamp=stamp(0),
    github_id=REPOSITORY_ID,
    full_name="acme/api",
    owner_id=10,
    default_branch="main",
    is_private=True,
    is_archived=False,
    is_fork=False,
    created_at=at(-1000),
    pushed_at=None,
)
profile = filler(facts.ContributorProfile, stamp=stamp(0), github_id=11, login="ana", kind="user")
landed = filler(facts.CommitLanded, repository_id=REPOSITORY_ID, sha="c" * 40, landed_at=at(10))
in_history = filler(facts.CommitInHistory, repository_id=REPOSITORY_ID, sha="c" * 40, presumed_landed_at=at(7))
parents = filler(facts.CommitParents, repository_id=REPOSITORY_ID, sha="c" * 40, parent_count=1, author_id=None)
presumed_parents = filler(
    facts.CommitParentsPresumed, repository_id=REPOSITORY_ID, sha="c" * 40, presumed_parent_count=2
)
trailer = filler(
    facts.CommitTrailer,
    repository_id=REPOSITORY_ID,
    sha="c" * 40,
    token="co-authored-by",
    value="Ben <ben@example.com>",
)
push = filler(
    facts.PushMade,
    repository_id=REPOSITORY_ID,
    ref="refs/heads/door",
    before_sha="0" * 40,
    after_sha="a" * 40,
    pushed_at=at(0),
    commit_shas=("a" * 40,),
    distinct_shas=("a" * 40,),
    is_default_branch=0,
    is_forced=0,
    is_incomplete=0,
)
run = filler(
    facts.WorkflowRunState,
    stamp=stamp(0),
    run_id=9001,
    attempt=1,
    repository_id=REPOSITORY_ID,
    workflow_id=1,
    name="CI",
    event="push",
    status="queued",
    conclusion=None,
    head_branch="main",
    head_sha="c" * 40,
    actor_id=11,
    created_at=at(0),
    started_at=at(1),
    concluded_at=None,
)
