"""Stages of a merged pull request: coding, pickup, review, merge and deploy. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import accumulate, pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundaries:
    """The instants between stages, in order; None where one did not happen or is not known."""

    started_at: datetime
    ready_at: datetime | None
    first_review_at: datetime | None
    first_approval_at: datetime | None
    merged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The seconds of each stage up to the merge; each is at least 0, and together they are the time to the merge."""

    coding: int
    pickup: int
    review: int
    merge: int

    @property
    def total(self) -> int:
        return self.coding + self.pickup + self.review + self.merge

    @property
    def columns(self) -> dict[str, int]:
        """Return them by the column of derived rows."""
        return {
            "coding_seconds": self.coding,
            "pickup_seconds": self.pickup,
            "review_seconds": self.review,
            "merge_seconds": self.merge,
        }


NO_STAGES = dict[str, None].fromkeys(f"{field.name}_seconds" for field in fields(Stages))
"""The columns of a pull request that was not merged."""


def stages(boundaries: Boundaries) -> Stages:
    """Return the stages.

    A missing boundary is taken to be at the next known one, so that the stage in which people waited has the time. One
    that came too early, such as a review of a draft, is taken to be at the boundary before it.
    """
    known = (
        boundaries.started_at,
        boundaries.ready_at,
        boundaries.first_review_at,
        boundaries.first_approval_at,
        boundaries.merged_at,
    )
    instants = _in_order(_filled(known, until=boundaries.merged_at), until=boundaries.merged_at)
    coding, pickup, review, merge = (later - earlier for earlier, later in pairwise(instants))
    return Stages(coding=coding, pickup=pickup, review=review, merge=merge)


def _filled(instants: Sequence[datetime | None], *, until: datetime) -> list[datetime]:
    filled: list[datetime] = []
    for at in reversed(instants):
        until = at or until
        filled.insert(0, until)
    return filled


def _in_order(instants: Sequence[datetime], *, until: datetime) -> list[int]:
    return [int(min(at, until).timestamp()) for at in accumulate(instants, max)]
