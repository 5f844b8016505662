"""Repositories, releases, branches, tags and pushed commits."""

from collections.abc import Iterator
from datetime import datetime

from apps.activity.facts import (
    CommitLanded,
    CommitParentsPresumed,
    Fact,
    GitReferenceState,
    PushMade,
    ReleaseDeleted,
    RepositoryDeleted,
)
from apps.github.events.envelope import common_facts, declare_shape, listing_needed, open_payload, repository_id
from apps.github.objects.accounts import WEB_FLOW
from apps.github.objects.repositories import commit_content, commit_trailers, release_facts
from apps.github.payload import PayloadReader
from apps.webhooks.registry import Event, translates

declare_shape("repository", members="")
declare_shape("release", members="release")


@translates(
    "repository",
    "created",
    "archived",
    "unarchived",
    "edited",
    "renamed",
    "transferred",
    "publicized",
    "privatized",
)
def repository(event: Event) -> Iterator[Fact]:
    """Not every action moves the repository's `updated_at`, so a listing settles them."""
    payload = open_payload(event)
    payload.child("repository")
    yield from common_facts(payload, at=event.received_at)
    yield from listing_needed(payload)


@translates("repository", "deleted")
def repository_deleted(event: Event) -> Iterator[Fact]:
    yield from repository(event)
    yield RepositoryDeleted(github_id=repository_id(open_payload(event)), deleted_at=event.received_at)


@translates("release", "created", "published", "released", "prereleased", "edited", "unpublished")
def release(event: Event) -> Iterator[Fact]:
    """Yield a release; an edit changes no time of a payload without `updated_at`, so its arrival takes that place."""
    payload = open_payload(event)
    is_change = event.action in {"edited", "unpublished"}
    yield from common_facts(payload, at=event.received_at)
    yield from release_facts(
        payload.child("release"),
        repository_id=repository_id(payload),
        at=event.received_at if is_change else None,
    )


@translates("release", "deleted")
def release_deleted(event: Event) -> Iterator[Fact]:
    yield from release(event)
    payload = open_payload(event)
    yield ReleaseDeleted(
        github_id=payload.child("release").id(),
        repository_id=repository_id(payload),
        deleted_at=event.received_at,
    )


declare_shape("push", members="ref pusher commits", required="after")
declare_shape("create", members="ref ref_type master_branch", required="master_branch")  # `delete` has no such member
declare_shape("delete", members="ref ref_type", required="ref_type")

MOST_COMMITS = 2048
"""A push lists no more than this: https://docs.github.com/webhooks/webhook-events-and-payloads#push"""
NO_COMMIT = "0" * 40


@translates("push")
def push(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    repository = payload.child("repository")
    pushed_at = repository.time_or_none("pushed_at") or event.received_at
    made = push_made(payload, pushed_at=pushed_at)
    yield from common_facts(payload, at=pushed_at)
    yield made
    for commit in pushed_commits(payload):
        yield commit_content(commit, repository_id=made.repository_id, pushed_at=pushed_at)
        yield from commit_trailers(commit, repository_id=made.repository_id)
    if (presumed := presumed_parents(payload, made=made)) is not None:
        yield presumed
    if made.is_default_branch:
        for sha in made.commit_shas:
            yield CommitLanded(repository_id=made.repository_id, sha=sha, landed_at=pushed_at)


def push_made(payload: PayloadReader, *, pushed_at: datetime) -> PushMade:
    """Return the movement of the ref; the deletion of a branch ends at zeros and has no commits."""
    commits = payload.children("commits")
    ref, repository = payload.text("ref"), payload.child("repository")
    return PushMade(
        repository_id=repository.id(),
        ref=ref,
        before_sha=payload.sha("before"),
        after_sha=payload.sha("after"),
        pushed_at=pushed_at,
        commit_shas=tuple(commit.sha("id") for commit in commits),
        distinct_shas=tuple(commit.sha("id") for commit in commits if commit.flag("distinct", default=True)),
        is_default_branch=int(ref == f"refs/heads/{repository.text_or_none('default_branch')}"),
        is_forced=int(payload.flag("forced", default=False)),
        is_incomplete=int(len(commits) >= MOST_COMMITS),
    )


def pushed_commits(payload: PayloadReader) -> Iterator[PayloadReader]:
    """Yield each commit listed, and the head, which a new tag or branch has without listing it."""
    commits = payload.children("commits")
    yield from commits
    head = payload.child_or_none("head_commit")
    if head is not None and head.sha("id") not in {commit.sha("id") for commit in commits}:
        yield head


def presumed_parents(payload: PayloadReader, *, made: PushMade) -> CommitParentsPresumed | None:
    """Return how many parents the new head of a branch seems to have; None where the push does not let presume it.

    A push names no parents, but lists all commits that the branch did not have. One alone has no other parent than the
    head before it. One that GitHub itself put on top of commits that were elsewhere already merges them, unless an App
    moved the branch forward to a commit that it had made on another branch: both pushes look alike.
    """
    commits, before = payload.children("commits"), made.before_sha
    is_branch_moved = made.ref.startswith("refs/heads/") and before != NO_COMMIT and not made.is_forced
    if not (is_branch_moved and commits and made.commit_shas[-1] == made.after_sha):
        return None
    committer = commits[-1].child_or_none("committer")
    is_by_github = committer is not None and committer.text_or_none("username") == WEB_FLOW
    is_merge = len(commits) > 1 and is_by_github and made.distinct_shas == (made.after_sha,)
    if len(commits) > 1 and not is_merge:
        return None
    return CommitParentsPresumed(
        repository_id=made.repository_id, sha=made.after_sha, presumed_parent_count=2 if is_merge else 1
    )


@translates("create")
def create(event: Event) -> Iterator[Fact]:
    yield from git_reference_facts(event, is_deleted=False)


@translates("delete")
def delete(event: Event) -> Iterator[Fact]:
    yield from git_reference_facts(event, is_deleted=True)


def git_reference_facts(event: Event, *, is_deleted: bool) -> Iterator[Fact]:
    """Yield that a branch or tag was created or deleted; GitHub does not say when."""
    payload = open_payload(event)
    yield from common_facts(payload, at=event.received_at)
    yield GitReferenceState(
        stamp=payload.stamp(event.received_at),
        repository_id=repository_id(payload),
        kind=payload.word("ref_type"),
        name=payload.text("ref"),
        is_deleted=is_deleted,
        is_verified=False,
    )
    yield from listing_needed(payload)
