"""Comments on lines of diffs. Their pull requests come along as stubs: recording sees to it."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact, ReviewCommentDeleted
from apps.activity.models import ReviewComment
from apps.github.objects.pull_requests import review_comment_facts
from apps.github.payload import PayloadReader
from apps.github.probes import ProbedStream, StreamProbe
from apps.integrations.streams.keyset import Keyset
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import REST_COST, Deletable, Listing, Stream

ADDRESS = re.compile(r".*/pulls/(\d{1,10})")


def comment_facts(comment: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """A comment as it is listed, beside no pull request: only an address says which one it is on."""
    address = ADDRESS.fullmatch(comment.text("pull_request_url"))
    if address is None:
        raise comment.mismatch("pull_request_url", "is not the address of a pull request")
    number = comment.alike({"number": int(address[1])}, path=f"{comment.path}.pull_request_url").count("number")
    yield from review_comment_facts(comment, repository_id=repository_id, number=number)


def _deleted(row: ReviewComment, at: datetime) -> Fact:
    return ReviewCommentDeleted(
        github_id=row.github_id, repository_id=row.repository_id, number=row.number, deleted_at=at
    )


def _probed(found: Mapping[str, Any]) -> ProbedStream:
    """They have no list of their own in a probe: one moves its pull request."""
    pulls = PULL_REQUESTS.probe.read(found)
    return ProbedStream(mark={PULL_REQUESTS.name: pulls.mark}, moved_at=pulls.moved_at)


PATH = "/pulls/comments"
KEYSET = Keyset(path=PATH, noun="review comment", facts_of=comment_facts)
REVIEW_COMMENTS = Stream(
    name="review_comments",
    read=KEYSET.read,
    skip_item=KEYSET.skip_item,
    events=("pull_request_review_comment",),
    entities=("review_comment",),
    model=ReviewComment,
    probe=StreamProbe(read=_probed),
    total=Listing(path=PATH),
    cost=REST_COST,
    is_counted_weekly=True,
    deletable=Deletable(
        noun="review comment",
        model=ReviewComment,
        path=PATH,
        permission="pull_requests",
        deleted=_deleted,
        order={"sort": "created"},
    ),
)
