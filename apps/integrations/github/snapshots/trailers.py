"""What the lines of a commit's message say of who and what took part in it."""

import re
from collections.abc import Iterator

from apps.activity.facts import CommitTrailer
from apps.integrations.github.reading import Reading

LONGEST_TOKEN, LONGEST_VALUE = 64, 300
MOST_TRAILERS = 100

# Git reads the last paragraph only; a squash keeps the lines of its commits in the middle, so any line counts.
TRAILER = re.compile(r"[ \t]*([a-z]+(?:-[a-z]+)*-by):[ \t]+(\S.*)", re.IGNORECASE)
FOOTER = re.compile(r"\W*generated[ \t](?:with|by)[ \t]+(\S.*)", re.IGNORECASE)
GENERATED_WITH = "generated-with"


def commit_trailers(commit: Reading, *, repository_id: int) -> Iterator[CommitTrailer]:
    """Each line like `Co-authored-by: …` or `Generated with …` below the headline, once."""
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
