"""Repositories, releases, and commits: of a push, and of a history."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apps.activity.facts import (
    CommitContent,
    CommitInHistory,
    CommitParents,
    CommitTrailer,
    Fact,
    ReleaseState,
    RepositoryName,
    RepositoryState,
)
from apps.activity.trailers import trailers_of_message
from apps.github.objects.accounts import account_id, profile, profiles
from apps.github.payload import CLOCK_SKEW, EPOCH, PayloadReader, git_date

HEADLINE = 500


def repository_facts(repository: PayloadReader) -> Iterator[Fact]:
    """Yield a repository and its owner; of a shortened one, which has no times, only the name."""
    if "updated_at" not in repository:
        yield repository_name(repository)
        return
    state = repository_state(repository)
    yield state
    yield from profile(repository.child_or_none("owner"), at=state.stamp.source_updated_at)


def repository_name(repository: PayloadReader) -> RepositoryName:
    return RepositoryName(
        stamp=repository.stamp(EPOCH),
        github_id=repository.id(),
        full_name=repository.text("full_name"),
        is_private=repository.flag_or_none("private"),
    )


def repository_state(repository: PayloadReader) -> RepositoryState:
    return RepositoryState(
        stamp=repository.stamp(repository.time("updated_at")),
        github_id=repository.id(),
        full_name=repository.text("full_name"),
        owner_id=account_id(repository.child_or_none("owner")),
        default_branch=repository.text_or_none("default_branch"),
        is_private=repository.flag("private"),
        is_archived=repository.flag("archived", default=False),
        is_fork=repository.flag("fork", default=False),
        created_at=repository.time_or_none("created_at"),
        pushed_at=repository.time_or_none("pushed_at"),
    )


def commit_content(commit: PayloadReader, *, repository_id: int, pushed_at: datetime) -> CommitContent:
    """Return a commit as a push shows it: by name, e-mail and login of the author, without parents."""
    author, committer = commit.child("author"), commit.child_or_none("committer")
    before = pushed_at + CLOCK_SKEW
    authored_at, is_authored_clamped = git_date(author, commit, before=before)
    committed_at, is_committed_clamped = git_date(committer, commit, before=before)
    return CommitContent(
        stamp=commit.stamp(EPOCH),
        repository_id=repository_id,
        sha=commit.sha("id"),
        headline=commit.prose("message").partition("\n")[0][:HEADLINE],
        authored_at=authored_at,
        committed_at=committed_at,
        author_name=author.prose("name", limit=HEADLINE),
        author_email=author.prose("email", limit=HEADLINE),
        author_login=author.prose("username", limit=HEADLINE),
        is_date_clamped=is_authored_clamped or is_committed_clamped,
    )


def release_facts(release: PayloadReader, *, repository_id: int, at: datetime | None = None) -> Iterator[Fact]:
    """Yield a release and its author. `at` replaces a missing `updated_at`, else its latest time does."""
    created_at, published_at = release.time_or_none("created_at"), release.time_or_none("published_at")
    updated_at = release.time_or_none("updated_at") or at or published_at or created_at or EPOCH
    yield ReleaseState(
        stamp=release.stamp(updated_at),
        github_id=release.id(),
        repository_id=repository_id,
        tag_name=release.text("tag_name"),
        name=release.prose("name", limit=HEADLINE),
        is_draft=release.flag("draft", default=False),
        is_prerelease=release.flag("prerelease", default=False),
        author_id=account_id(release.child_or_none("author")),
        created_at=created_at,
        published_at=published_at,
    )
    yield from profiles(release, "author", at=updated_at)


def commit_trailers(commit: PayloadReader, *, repository_id: int) -> Iterator[CommitTrailer]:
    """Yield each line like `Co-authored-by: …` or `Generated with …` below the headline, once."""
    sha = commit.sha("id")
    for token, value in trailers_of_message(commit.prose("message")):
        yield CommitTrailer(repository_id=repository_id, sha=sha, token=token, value=value)


def rest_commit(commit: PayloadReader) -> dict[str, Any]:
    """Return a commit of REST in the shape that `graphql.commit` returns."""
    inner, account = commit.child("commit"), commit.child_or_none("author")
    author, committer = inner.child_or_none("author"), inner.child_or_none("committer")
    login = account.text_or_none("login") if account else None
    signed = {name: author.prose(name) for name in ("name", "email")} if author else {}
    return {
        "id": commit.sha("sha"),
        "message": inner.prose("message"),
        "author": {**signed, "username": login, "date": author.text_or_none("date") if author else None},
        "committer": {"date": committer.text_or_none("date") if committer else None},
        "account": {"id": account.id(), "login": login, "type": account.text("type")} if account and login else None,
        "parent_count": len(commit.children("parents")),
    }


def presumed_landing(commit: PayloadReader) -> datetime:
    """Return when a commit without a known push may have landed: its committer's date, but no time in the future."""
    for role in ("committer", "author"):
        at, _ = commit.child(role).git_time("date", before=commit.arrived_at)
        if at is not None:
            return at
    return EPOCH


def history_facts(commit: PayloadReader, *, repository_id: int) -> Iterator[Fact]:
    """Yield the content, trailers, parents, author and landing of a commit in the shape that `graphql.commit` returns.

    The landing is presumed, and stored apart from the landings that pushes report, which take precedence.
    """
    sha, account, landed_at = commit.sha("id"), commit.child_or_none("account"), presumed_landing(commit)
    yield commit_content(commit, repository_id=repository_id, pushed_at=commit.arrived_at)
    yield from commit_trailers(commit, repository_id=repository_id)
    yield CommitParents(
        repository_id=repository_id,
        sha=sha,
        parent_count=commit.count("parent_count"),
        author_id=account_id(account),
    )
    yield CommitInHistory(repository_id=repository_id, sha=sha, presumed_landed_at=landed_at)
    yield from profile(account, at=landed_at)
