"""Comments on issues and, outside any diff, on pull requests."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact, IssueCommentDeleted
from apps.activity.models import IssueComment
from apps.github.objects.issues import issue_comment_facts
from apps.github.payload import PayloadReader
from apps.github.probes import ProbedStream, StreamProbe
from apps.integrations.streams.issues import ISSUES
from apps.integrations.streams.keyset import Keyset
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import REST_COST, Deletable, Listing, Stream

ADDRESS = re.compile(r".*/(issues|pull)/(\d{1,10})(?:#[^/]*)?")


def comment_facts(comment: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """A comment as it is listed, beside no issue: only its address says what it is on."""
    address = ADDRESS.fullmatch(comment.text("html_url"))
    if address is None:
        raise comment.mismatch("html_url", "is not the address of a comment")
    described = {"number": int(address[2]), **({"pull_request": {}} if address[1] == "pull" else {})}
    issue = comment.alike(described, path=f"{comment.path}.html_url")
    yield from issue_comment_facts(comment, issue=issue, repository_id=repository_id)


def _deleted(row: IssueComment, at: datetime) -> Fact:
    return IssueCommentDeleted(
        github_id=row.github_id, repository_id=row.repository_id, number=row.number, deleted_at=at
    )


def _probed(found: Mapping[str, Any]) -> ProbedStream:
    """They have no list of their own in a probe: one moves its issue or pull request."""
    on = {stream.name: stream.probe.read(found) for stream in (PULL_REQUESTS, ISSUES)}
    latest = max((probed.moved_at for probed in on.values() if probed.moved_at), default=None)
    return ProbedStream(mark={name: probed.mark for name, probed in on.items()}, moved_at=latest)


PATH = "/issues/comments"
KEYSET = Keyset(path=PATH, noun="issue comment", facts_of=comment_facts)
ISSUE_COMMENTS = Stream(
    name="issue_comments",
    read=KEYSET.read,
    skip_item=KEYSET.skip_item,
    events=("issue_comment",),
    entities=("issue_comment",),
    model=IssueComment,
    probe=StreamProbe(read=_probed),
    total=Listing(path=PATH),
    cost=REST_COST,
    is_counted_weekly=True,
    deletable=Deletable(
        noun="issue comment",
        model=IssueComment,
        path=PATH,
        permission="issues",
        deleted=_deleted,
        order={"sort": "created"},
        needs_issues=True,
    ),
)
