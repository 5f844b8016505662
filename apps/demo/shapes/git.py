"""Commits and pushes."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1
from typing import TypeAlias

from apps.demo.shapes import Json, moment
from apps.demo.shapes.accounts import Account
from apps.demo.shapes.repositories import RepositoryIdentity, pushed_repository

NO_COMMIT = "0" * 40
Commits: TypeAlias = "tuple[Commit, ...]"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit; rebased, it keeps its author and author date and gets a new SHA, committer and committer date."""

    sha: str
    author: Account
    message: str
    authored_at: datetime
    committed_at: datetime
    is_distinct: bool = True
    committer: Account | None = None
    """Its author, where nobody is named."""


def fake_sha(*words: object) -> str:
    """Return a SHA; the same words give the same one."""
    return sha1(":".join(map(str, words)).encode(), usedforsecurity=False).hexdigest()


def commit(of: RepositoryIdentity, made: Commit) -> Json:
    """The commit as a push lists it: without parents, its people by name, e-mail and login."""
    return {
        "id": made.sha,
        "tree_id": fake_sha("tree", made.sha),
        "distinct": made.is_distinct,
        "message": made.message,
        "timestamp": moment(made.committed_at),
        "url": f"{of.page}/commit/{made.sha}",
        "author": signature(made.author, at=made.authored_at),
        "committer": signature(made.committer or made.author, at=made.committed_at),
        "added": [],
        "removed": [],
        "modified": ["README.md"],
    }


def signature(account: Account, *, at: datetime) -> Json:
    return {
        "name": account.login,
        "email": f"{account.id}+{account.login}@users.noreply.github.com",
        "username": account.login,
        "date": moment(at),
    }


def push(
    of: RepositoryIdentity,
    *,
    ref: str,
    before: str,
    after: str,
    commits: Commits,
    pusher: Account,
    is_forced: bool = False,
) -> Json:
    """A push; a ref that is deleted has an end of zeros, no head and no commits."""
    listed = [commit(of, made) for made in commits]
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "repository": pushed_repository(of),
        "pusher": {"name": pusher.login, "email": f"{pusher.id}+{pusher.login}@users.noreply.github.com"},
        "created": before == NO_COMMIT,
        "deleted": after == NO_COMMIT,
        "forced": is_forced,
        "base_ref": None,
        "compare": f"{of.page}/compare/{before[:12]}...{after[:12]}",
        "commits": listed,
        "head_commit": listed[-1] if listed else None,
    }
