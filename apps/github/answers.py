"""Answers of the client: the classified response, its data, and the next page. Pure."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from apps.github.responses import Kind, RateLimit, Verdict

_NEXT = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel="?next"?')
_LAST = re.compile(r'<[^<>]*[?&]page=(\d{1,9})\b[^<>]*>\s*;[^,<]*\brel="?last"?')


class Standing(enum.Enum):
    """The state of an installation whose token GitHub refuses."""

    ACTIVE = enum.auto()
    SUSPENDED = enum.auto()
    REMOVED = enum.auto()
    REFUSED = enum.auto()
    """GitHub refuses the App itself: the key or the clock is wrong. The installation is unknown."""
    UNKNOWN = enum.auto()


MOST_LISTED = 200_000
"""No list has more items; a `Link` beyond them would be followed for ever."""
USUAL_PER_PAGE = 30


class EndlessListError(ValueError):
    """GitHub's list is longer than any list can be."""


class OtherHostError(ValueError):
    """A link in GitHub's answer leads to another host and is not followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a request. GitHub's failures raise nothing: check `kind`.

    `data` is the document of a REST answer or the `data` of a GraphQL answer, None where there is none to trust;
    `observed_at` is GitHub's `Date`; `not_before` (seconds since 1970) is when to retry, if known;
    `next_path` leads to the next page of a REST listing, whose last page has the number `last_page`; `up_next` is the
    subject that waits for its turn.
    """

    verdict: Verdict
    data: Any = None
    observed_at: datetime | None = None
    limit: RateLimit | None = None
    not_before: float | None = None
    next_path: str | None = None
    last_page: int | None = None
    up_next: str | None = None
    standing: Standing | None = None
    took_s: float = 0.0

    @property
    def kind(self) -> Kind:
        return self.verdict.kind


def next_path(headers: Mapping[str, str], *, api_url: str) -> str | None:
    """Return the next page, below the API's address.

    OtherHostError if the header leads to another host, EndlessListError if the list is too long.
    """
    found = _NEXT.search(headers.get("link", ""))
    if found is None:
        return None
    asked = dict(parse_qsl(urlsplit(found[1]).query))
    page, size = _whole(asked.get("page"), 1), _whole(asked.get("per_page"), USUAL_PER_PAGE)
    if (page - 1) * size >= MOST_LISTED:
        raise EndlessListError(f"the list goes on after {MOST_LISTED:,} items")
    return path_below(found[1], api_url=api_url)


def _whole(text: str | None, otherwise: int) -> int:
    return int(text[:9]) if text and text.isascii() and text.isdigit() else otherwise


def last_page(headers: Mapping[str, str]) -> int | None:
    """Return the number of the last page, if there are several; with one item a page, the number of items."""
    found = _LAST.search(headers.get("link", ""))
    return int(found[1]) if found else None


def path_below(url: str, *, api_url: str) -> str:
    """Return the path and query of an API URL; OtherHostError for any other URL."""
    there, home = urlsplit(url), urlsplit(api_url)
    prefix = home.path.rstrip("/")
    same_host = (there.scheme, there.netloc.lower()) == (home.scheme, home.netloc.lower())
    if not same_host or not there.path.startswith(f"{prefix}/") or "/../" in f"{there.path}/":
        raise OtherHostError(f"{there.scheme}://{there.hostname} is not {home.scheme}://{home.hostname}{prefix}")
    below = there.path[len(prefix) :]
    return f"{below}?{there.query}" if there.query else below
