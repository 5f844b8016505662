"""What completeness depends on and only apps above this one know: they register it, nobody imports upwards."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

HoldsBack = Callable[[Collection[int]], Mapping[int, datetime]]
CastsDoubt = Callable[[Collection[int]], Mapping[int, tuple[datetime, datetime]]]
CanRead = Callable[[], bool]

_holding_back: list[HoldsBack] = []
_casting_doubt: list[CastsDoubt] = []
_can_read: list[CanRead] = []


def register_blocking_deliveries(told: HoldsBack) -> HoldsBack:
    """Register what keeps repositories from being complete: of those asked for, the earliest instant of each."""
    _holding_back.append(told)
    return told


def register_uncertain_periods(told: CastsDoubt) -> CastsDoubt:
    """Register why deliveries may not have told everything: of those asked for, the first and last instant of each.

    It is over for a stream that was read since the last one.
    """
    _casting_doubt.append(told)
    return told


def register_credentials_check(told: CanRead) -> CanRead:
    """Register whether GitHub can be asked for history at all."""
    _can_read.append(told)
    return told


def held_back(repository_ids: Collection[int]) -> dict[int, datetime]:
    """From when on each of the repositories cannot be complete, by its id; those that nothing holds are left out."""
    earliest: dict[int, datetime] = {}
    for told in _holding_back:
        for repository_id, at in told(repository_ids).items():
            earliest[repository_id] = min(at, earliest.get(repository_id, at))
    return earliest


def doubted(repository_ids: Collection[int]) -> dict[int, tuple[datetime, datetime]]:
    """Between which instants doubt came up of each of the repositories, by its id; of most there is none."""
    found: dict[int, tuple[datetime, datetime]] = {}
    for told in _casting_doubt:
        for repository_id, (first_at, last_at) in told(repository_ids).items():
            known = found.get(repository_id, (first_at, last_at))
            found[repository_id] = min(first_at, known[0]), max(last_at, known[1])
    return found


def is_history_readable() -> bool:
    """Whether anybody says that history can be read."""
    return any(told() for told in _can_read)


@contextmanager
def scoped_registration() -> Iterator[None]:
    """Undo on leaving whatever is registered inside; for tests."""
    kept = [*_holding_back], [*_casting_doubt], [*_can_read]
    try:
        yield
    finally:
        _holding_back[:], _casting_doubt[:], _can_read[:] = kept
