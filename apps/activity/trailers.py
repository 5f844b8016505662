"""Trailers: the lines of a text that name who or what took part in it, such as `Co-authored-by: …`."""

import re
from collections.abc import Iterable, Iterator

LONGEST_TOKEN, LONGEST_VALUE = 64, 300
MOST_TRAILERS = 100

# Git reads the last paragraph only; a squash keeps the lines of its commits in the middle, so any line counts.
TRAILER = re.compile(r"[ \t]*([a-z]+(?:-[a-z]+)*-by):[ \t]+(\S.*)", re.IGNORECASE)
FOOTER = re.compile(r"\W*generated[ \t](?:with|by)[ \t]+(\S.*)", re.IGNORECASE)
GENERATED_WITH = "generated-with"

Trailer = tuple[str, str]
"""The token in lower case, and the value; a footer like "Generated with …" has the token `generated-with`."""


def trailers_of_message(message: str) -> list[Trailer]:
    """Return the trailers below the headline of a commit's message, each once."""
    return trailers_in(message.splitlines()[1:])


def trailers_in(lines: Iterable[str]) -> list[Trailer]:
    """Return the trailers among the lines, each once."""
    return list(dict.fromkeys(_read(lines)))[:MOST_TRAILERS]


def _read(lines: Iterable[str]) -> Iterator[Trailer]:
    for line in lines:
        if match := TRAILER.fullmatch(line):
            yield match[1].lower()[:LONGEST_TOKEN], match[2].rstrip()[:LONGEST_VALUE]
        elif match := FOOTER.fullmatch(line):
            yield GENERATED_WITH, match[1].rstrip()[:LONGEST_VALUE]
