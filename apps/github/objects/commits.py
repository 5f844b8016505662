"""Commits of the default branch's history, as the facts that a push to it becomes."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apps.activity.facts import CommitInHistory, CommitParents, CommitTrailer, Fact
from apps.github.objects.accounts import account_id, profile
from apps.github.objects.repositories import commit_content
from apps.github.payload import EPOCH, PayloadReader

LONGEST_TOKEN, LONGEST_VALUE = 64, 300
MOST_TRAILERS = 100

# Git reads the last paragraph only; a squash keeps the lines of its commits in the middle, so any line counts.
TRAILER = re.compile(r"[ \t]*([a-z]+(?:-[a-z]+)*-by):[ \t]+(\S.*)", re.IGNORECASE)
FOOTER = re.compile(r"\W*generated[ \t](?:with|by)[ \t]+(\S.*)", re.IGNORECASE)
GENERATED_WITH = "generated-with"


def commit_trailers(commit: PayloadReader, *, repository_id: int) -> Iterator[CommitTrailer]:
    """Yield each line like `Co-authored-by: …` or `Generated with …` below the headline, once."""
    sha = commit.sha("id")
    lines = commit.prose("message").splitlines()[1:]
    found = dict.fromkeys(pair for line in lines if (pair := _read_line(line)))
    for token, value in list(found)[:MOST_TRAILERS]:
        yield CommitTrailer(repository_id=repository_id, sha=sha, token=token, value=value)


def _read_line(line: str) -> tuple[str, str] | None:
    if match := TRAILER.fullmatch(line):
        return match[1].lower()[:LONGEST_TOKEN], match[2].rstrip()[:LONGEST_VALUE]
    if match := FOOTER.fullmatch(line):
        return GENERATED_WITH, match[1].rstrip()[:LONGEST_VALUE]
    return None


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
