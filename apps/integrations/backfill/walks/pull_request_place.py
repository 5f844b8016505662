"""Where a walk through pull requests stands, as the text of its cursor."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What is still to be read of a pull request that the walk has passed. Paying for it takes one request.

    `part` says which: `lists` (the rest of them, each `after` a cursor), `whole` (by its node id), `missing` (which
    pull requests GitHub left out of a page), and by REST `pull`, `reviews`, `commits` and `timeline` in this order.
    """

    part: str
    number: int = 0
    id: str = ""
    updated_at: str = ""
    head_sha: str = ""
    """With `updated_at`: whether it is still what it was when its lists were begun."""
    author: str = ""
    """The login of who opened it."""
    after: Mapping[str, str | None] = field(default_factory=dict)
    path: str = ""
    """The next page of a REST list; empty for the first."""
    listed: int = 0
    """Commits told so far."""
    has_lost: bool = False
    """Whether one of the commits could not be shown."""
    count: int = 0
    """How many commits there are, or how many pull requests were on the page."""
    seen: tuple[int, ...] = ()
    """The pull requests that GitHub did show on the page."""
    tries: int = 0
    is_counted: bool = False
    """Whether it is among the items of a page already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the walk stands in its sweep through the list, and what it owes.

    A sweep goes by creation, or, with `down_to`, by update from the top down to that time. `after` is GitHub's cursor,
    None at the start of a sweep; `left_top_at` is when its first page was read.
    """

    sweep: int = 1
    down_to: datetime | None = None
    left_top_at: datetime | None = None
    after: str | None = None
    is_over: bool = False
    owed: tuple[Owed, ...] = ()

    def paid(self, *owed: Owed) -> "Place":
        """The first of what is owed is replaced by what it led to."""
        return replace(self, owed=(*owed, *self.owed[1:]))

    def cursor(self) -> str | None:
        """Its text; None at the end of the walk."""
        if self.is_over and not self.owed:
            return None
        told = {**_said(replace(self, owed=())), "owed": [_said(one) for one in self.owed]}
        return json.dumps(told, default=datetime.isoformat, separators=(",", ":"))


def _said(told: Place | Owed) -> dict[str, Any]:
    """What is worth writing down: every default is empty."""
    return {name: value for name, value in asdict(told).items() if value}


def read_place(cursor: str) -> Place:
    """The place that this text of ours tells."""
    told = json.loads(cursor)
    for name in ("down_to", "left_top_at"):
        told[name] = datetime.fromisoformat(told[name]) if name in told else None
    owed = tuple(Owed(**{**one, "seen": tuple(one.get("seen", ()))}) for one in told.pop("owed"))
    return Place(**told, owed=owed)
