"""Facts to record, with everything a test does not care about filled in."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

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


def record_facts(*recorded: facts.Fact) -> None:
    """Record the facts as one delivery."""
    with transaction.atomic():
        record([facts.evidence(facts.Source(kind="delivery", key=str(next(deliveries))), recorded)])


def record_one_by_one(recorded: Iterable[facts.Fact]) -> None:
    for fact in recorded:
        record_facts(fact)


def filled(kind: type[facts.Fact], /, **given: Any) -> Any:
    """A fact with the simplest value in every column that is not given: null, nothing, or Monday."""
    simple = {column.name: simplest(column.type) for column in fields(kind)}  # type: ignore[arg-type]
    return kind(**(simple | given))


def simplest(column: Any) -> Any:
    column = get_args(column)[0] if get_origin(column) is Annotated else column
    values = {datetime: MONDAY, facts.Stamp: stamp(0), Mapping: {}}
    kind = NoneType if NoneType in get_args(column) else get_origin(column) or column
    return values[kind] if kind in values else kind()


core = partial(
    filled,
    facts.PullRequestCore,
    **PULL_REQUEST,
    github_id=7007,
    title="Add a door",
    state="open",
    author_id=11,
    author_association="MEMBER",
    base_ref="main",
    head_ref="door",
    head_sha="a" * 40,
    is_cross_repository=False,
)
sizes = partial(
    filled, facts.PullRequestSizes, **PULL_REQUEST, additions=10, deletions=2, changed_files=3, commit_count=1
)
labels = partial(filled, facts.PullRequestLabels, **PULL_REQUEST)
happened = partial(
    filled,
    facts.PullRequestHappened,
    **PULL_REQUEST,
    kind="review_requested",
    subject="12",
    source="webhook",
    actor_id=11,
)
submitted = partial(filled, facts.ReviewSubmitted, **PULL_REQUEST, github_id=501, author_id=12, submitted_at=at(60))
verdict = partial(filled, facts.ReviewVerdict, **PULL_REQUEST, stamp=stamp(60), github_id=501, verdict="approved")
dismissed = partial(filled, facts.ReviewDismissed, **PULL_REQUEST, github_id=501, dismissed_at=at(120))
comment = partial(filled, facts.IssueCommentState, **PULL_REQUEST, github_id=901, is_on_pull_request=True, author_id=12)
comment_deleted = partial(filled, facts.IssueCommentDeleted, **PULL_REQUEST, github_id=901, deleted_at=at(30))
repository = partial(
    filled,
    facts.RepositoryState,
    github_id=REPOSITORY_ID,
    full_name="acme/api",
    owner_id=10,
    default_branch="main",
    is_private=True,
    created_at=at(-1000),
)
profile = partial(filled, facts.ContributorProfile, github_id=11, login="ana", kind="user")
landed = partial(filled, facts.CommitLanded, repository_id=REPOSITORY_ID, sha="c" * 40, landed_at=at(10))
in_history = partial(filled, facts.CommitInHistory, repository_id=REPOSITORY_ID, sha="c" * 40, presumed_landed_at=at(7))
parents = partial(filled, facts.CommitParents, repository_id=REPOSITORY_ID, sha="c" * 40, parent_count=1)
presumed_parents = partial(
    filled, facts.CommitParentsPresumed, repository_id=REPOSITORY_ID, sha="c" * 40, presumed_parent_count=2
)
trailer = partial(
    filled,
    facts.CommitTrailer,
    repository_id=REPOSITORY_ID,
    sha="c" * 40,
    token="co-authored-by",
    value="Ben <ben@example.com>",
)
push = partial(
    filled,
    facts.PushMade,
    repository_id=REPOSITORY_ID,
    ref="refs/heads/door",
    before_sha="0" * 40,
    after_sha="a" * 40,
    commit_shas=("a" * 40,),
    distinct_shas=("a" * 40,),
    is_default_branch=0,
    is_forced=0,
    is_incomplete=0,
)
run = partial(
    filled,
    facts.WorkflowRunState,
    run_id=9001,
    attempt=1,
    repository_id=REPOSITORY_ID,
    workflow_id=1,
    name="CI",
    event="push",
    status="queued",
    head_branch="main",
    head_sha="c" * 40,
    actor_id=11,
    started_at=at(1),
)
