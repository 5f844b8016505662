"""The commits of the default branch's history, as the same facts that a push to it becomes."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apps.activity.facts import CommitInHistory, CommitParents, Fact
from apps.integrations.github.reading import EPOCH, Reading
from apps.integrations.github.snapshots.accounts import account_id, profile
from apps.integrations.github.snapshots.repositories import commit_content
from apps.integrations.github.snapshots.trailers import commit_trailers


def rest_commit(commit: Reading) -> dict[str, Any]:
    """A commit of REST in the shape of graphql_dialect.commit."""
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


def presumed_landing(commit: Reading) -> datetime:
    """When a commit may have arrived on the branch: its committer's date, where no push told; never in the future."""
    for role in ("committer", "author"):
        at, _ = commit.child(role).git_time("date", before=commit.arrived_at)
        if at is not None:
            return at
    return EPOCH


def history_facts(commit: Reading, *, repository_id: int) -> Iterator[Fact]:
    """A commit in the shape of graphql_dialect.commit: what it says, its trailers, parents and author, and its landing.

    When it landed is a guess, kept apart from what pushes tell: theirs is the time that counts.
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
