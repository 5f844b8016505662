"""Comments on issues and pull requests, and on lines of diffs; recording adds what they are on as a stub."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact, IssueCommentDeleted, ReviewCommentDeleted
from apps.activity.models import IssueComment, ReviewComment
from apps.github.objects.issues import issue_comment_facts
from apps.github.objects.pull_requests import review_comment_facts
from apps.github.payload import PayloadReader
from apps.github.probes import ProbedStream, StreamProbe
from apps.integrations.streams.issues import ISSUES
from apps.integrations.streams.paging import Keyset
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import REST_COST, Deletable, Listing, Stream

ISSUE_ADDRESS = re.compile(r".*/(issues|pull)/(\d{1,10})(?:#[^/]*)?")


def read_issue_comment(comment: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """Yield the facts of a listed comment: only its address says what it is on."""
    address = ISSUE_ADDRESS.fullmatch(comment.text("html_url"))
    if address is None:
        raise comment.mismatch("html_url", "is not the address of a comment")
    described = {"number": int(address[2]), **({"pull_request": {}} if address[1] == "pull" else {})}
    issue = comment.alike(described, path=f"{comment.path}.html_url")
    yield from issue_comment_facts(comment, issue=issue, repository_id=repository_id)


def _issue_comment_deleted(row: IssueComment, at: datetime) -> Fact:
    return IssueCommentDeleted(
        github_id=row.github_id, repository_id=row.repository_id, number=row.number, deleted_at=at
    )


def _probe_issue_comments(found: Mapping[str, Any]) -> ProbedStream:
    """Return the marks of issues and pull requests, because a comment moves its own and a probe lists no comments."""
    on = {stream.name: stream.probe.read(found) for stream in (PULL_REQUESTS, ISSUES)}
    latest = max((probed.moved_at for probed in on.values() if probed.moved_at), default=None)
    return ProbedStream(mark={name: probed.mark for name, probed in on.items()}, moved_at=latest)


ISSUE_PATH = "/issues/comments"
ISSUE_KEYSET = Keyset(path=ISSUE_PATH, noun="issue comment", facts_of=read_issue_comment)
ISSUE_COMMENTS = Stream(
    name="issue_comments",
    read=ISSUE_KEYSET.read,
    skip_item=ISSUE_KEYSET.skip_item,
    events=("issue_comment",),
    entities=("issue_comment",),
    model=IssueComment,
    probe=StreamProbe(read=_probe_issue_comments),
    total=Listing(path=ISSUE_PATH),
    cost=REST_COST,
    is_counted_weekly=True,
    deletable=Deletable(
        noun="issue comment",
        model=IssueComment,
        path=ISSUE_PATH,
        permission="issues",
        deleted=_issue_comment_deleted,
        order={"sort": "created"},
        needs_issues=True,
    ),
)


REVIEW_ADDRESS = re.compile(r".*/pulls/(\d{1,10})")


def read_review_comment(comment: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """Yield the facts of a listed comment: only an address says which pull request it is on."""
    address = REVIEW_ADDRESS.fullmatch(comment.text("pull_request_url"))
    if address is None:
        raise comment.mismatch("pull_request_url", "is not the address of a pull request")
    number = comment.alike({"number": int(address[1])}, path=f"{comment.path}.pull_request_url").count("number")
    yield from review_comment_facts(comment, repository_id=repository_id, number=number)


def _review_comment_deleted(row: ReviewComment, at: datetime) -> Fact:
    return ReviewCommentDeleted(
        github_id=row.github_id, repository_id=row.repository_id, number=row.number, deleted_at=at
    )


def _probe_review_comments(found: Mapping[str, Any]) -> ProbedStream:
    """Return the mark of pull requests, because a comment moves its own and a probe lists no comments."""
    pulls = PULL_REQUESTS.probe.read(found)
    return ProbedStream(mark={PULL_REQUESTS.name: pulls.mark}, moved_at=pulls.moved_at)


REVIEW_PATH = "/pulls/comments"
REVIEW_KEYSET = Keyset(path=REVIEW_PATH, noun="review comment", facts_of=read_review_comment)
REVIEW_COMMENTS = Stream(
    name="review_comments",
    read=REVIEW_KEYSET.read,
    skip_item=REVIEW_KEYSET.skip_item,
    events=("pull_request_review_comment",),
    entities=("review_comment",),
    model=ReviewComment,
    probe=StreamProbe(read=_probe_review_comments),
    total=Listing(path=REVIEW_PATH),
    cost=REST_COST,
    is_counted_weekly=True,
    deletable=Deletable(
        noun="review comment",
        model=ReviewComment,
        path=REVIEW_PATH,
        permission="pull_requests",
        deleted=_review_comment_deleted,
        order={"sort": "created"},
    ),
)
