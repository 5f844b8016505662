"""The walk through the comments on issues and, outside any diff, on pull requests."""

import re
from collections.abc import Iterator

from apps.activity.facts import Fact
from apps.github.objects.issues import issue_comment_facts
from apps.github.payload import PayloadReader
from apps.integrations.streams.keyset import Keyset

ADDRESS = re.compile(r".*/(issues|pull)/(\d{1,10})(?:#[^/]*)?")


def comment_facts(comment: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """A comment as it is listed, beside no issue: only its address says what it is on."""
    address = ADDRESS.fullmatch(comment.text("html_url"))
    if address is None:
        raise comment.mismatch("html_url", "is not the address of a comment")
    described = {"number": int(address[2]), **({"pull_request": {}} if address[1] == "pull" else {})}
    issue = comment.alike(described, path=f"{comment.path}.html_url")
    yield from issue_comment_facts(comment, issue=issue, repository_id=repository_id)


ISSUE_COMMENTS = Keyset(path="/issues/comments", noun="issue comment", facts_of=comment_facts)
