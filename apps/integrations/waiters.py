"""Telling those who wait for others: whoever read or walked last tells them, and knows none of them.

Those who wait register, because they read and walk themselves and could not be imported from there.
"""

from collections.abc import Callable

RingForNext = Callable[[str | None], int]
RingIfWalked = Callable[[int], int]

_for_turns: list[RingForNext] = []
_for_walks: list[RingIfWalked] = []


def register_waiter(ring: RingForNext) -> None:
    """Register who waits for turns at GitHub, under subjects of their own: 0 for a subject that is none of theirs."""
    _for_turns.append(ring)


def register_verification(ring: RingIfWalked) -> None:
    """Register who waits, by the id of a RepositorySync, for all of its walks to be over."""
    _for_walks.append(ring)


def wake_next_waiter(subject: str | None) -> int:
    """Tell the workers of this subject, if it still waits for its turn; how many messages the broker took."""
    return next((told for ring in _for_turns if (told := ring(subject))), 0)


def enqueue_verification(repository_sync_id: int) -> int:
    """Tell the workers of this one, if all of its walks are over; how many messages the broker took."""
    return sum(ring(repository_sync_id) for ring in _for_walks)
