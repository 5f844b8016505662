"""The filters of figures: whose work counts, and what time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Bots(StrEnum):
    """The inclusion of bots, or of agents."""

    EXCLUDE = "exclude"
    INCLUDE = "include"
    ONLY = "only"


class Attribution(StrEnum):
    """The members of a team whose work counts: those of the time of each event, or those of now."""

    AT_EVENT = "at_event"
    CURRENT = "current"


class AI(StrEnum):
    """The evidence of a tool that a pull request must have."""

    AUTHORED = "authored"
    ASSISTED = "assisted"
    REVIEWED = "reviewed"
    ANY = "any"
    NONE = "none"


class Hours(StrEnum):
    """The time that durations count."""

    WALL = "wall"
    WORKING = "working"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account, by whose rows figures are filtered; without an id, it is known by its login alone."""

    login: str
    contributor_id: int | None


@dataclass(frozen=True, slots=True)
class Membership:
    """A contributor in a team, from when until when; None is unlimited."""

    contributor_id: int
    from_at: datetime | None
    until_at: datetime | None

    def holds_at(self, at: datetime) -> bool:
        return (self.from_at is None or self.from_at <= at) and (self.until_at is None or self.until_at > at)
