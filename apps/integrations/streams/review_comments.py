"""The walk through the comments on lines of diffs. Their pull requests come along as stubs: recording sees to it."""

import re
from collections.abc import Iterator

from apps.activity.facts import Fact
from apps.github.objects.pull_requests import review_comment_facts
from apps.github.payload import PayloadReader
from apps.integrations.streams.keyset import Keyset

ADDRESS = re.compile(r".*/pulls/(\d{1,10})")


def comment_facts(comment: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """A comment as it is listed, beside no pull request: only an address says which one it is on."""
    address = ADDRESS.fullmatch(comment.text("pull_request_url"))
    if address is None:
        raise comment.mismatch("pull_request_url", "is not the address of a pull request")
    number = comment.alike({"number": int(address[1])}, path=f"{comment.path}.pull_request_url").count("number")
    yield from review_comment_facts(comment, repository_id=repository_id, number=number)


REVIEW_COMMENTS = Keyset(path="/pulls/comments", noun="review comment", facts_of=comment_facts)
