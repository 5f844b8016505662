"""What figures need from the apps above this one: they register providers, and no import goes upwards."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

BlockingDeliveries = Callable[[Collection[int]], Mapping[int, datetime]]
UncertainPeriods = Callable[[Collection[int]], Mapping[int, tuple[datetime, datetime]]]
CredentialsCheck = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class KnownDelivery:
    """A delivery, as a source of facts."""

    guid: UUID
    event: str
    received_at: datetime


DeliveryLookup = Callable[[Collection[int]], Mapping[int, KnownDelivery]]

_blocking_deliveries: list[BlockingDeliveries] = []
_uncertain_periods: list[UncertainPeriods] = []
_credentials_checks: list[CredentialsCheck] = []
_delivery_lookups: list[DeliveryLookup] = []


def register_blocking_deliveries(provider: BlockingDeliveries) -> BlockingDeliveries:
    """Register a function from repository ids to the earliest instant after which each cannot be complete."""
    _blocking_deliveries.append(provider)
    return provider


def register_uncertain_periods(provider: UncertainPeriods) -> UncertainPeriods:
    """Register a function from repository ids to the first and last instant at which deliveries may be lacking.

    The period is over for a stream that was read after its last instant.
    """
    _uncertain_periods.append(provider)
    return provider


def register_credentials_check(provider: CredentialsCheck) -> CredentialsCheck:
    """Register a function that returns whether GitHub can be read for history at all."""
    _credentials_checks.append(provider)
    return provider


def register_delivery_lookup(provider: DeliveryLookup) -> DeliveryLookup:
    """Register a function from ids of deliveries to what is known of each."""
    _delivery_lookups.append(provider)
    return provider


def find_deliveries(ids: Collection[int]) -> dict[int, KnownDelivery]:
    """Return what is known of deliveries, by id."""
    return {key: known for lookup in _delivery_lookups for key, known in lookup(ids).items()} if ids else {}


def find_blocked(repository_ids: Collection[int]) -> dict[int, datetime]:
    """Return the instant after which each repository cannot be complete, by id; unblocked ones are left out."""
    earliest: dict[int, datetime] = {}
    for provider in _blocking_deliveries:
        for repository_id, at in provider(repository_ids).items():
            earliest[repository_id] = min(at, earliest.get(repository_id, at))
    return earliest


def find_uncertain(repository_ids: Collection[int]) -> dict[int, tuple[datetime, datetime]]:
    """Return the first and last uncertain instant of each repository, by id; most have none."""
    found: dict[int, tuple[datetime, datetime]] = {}
    for provider in _uncertain_periods:
        for repository_id, (first_at, last_at) in provider(repository_ids).items():
            known = found.get(repository_id, (first_at, last_at))
            found[repository_id] = min(first_at, known[0]), max(last_at, known[1])
    return found


@dataclass(frozen=True, slots=True)
class Pending:
    """What unprocessed deliveries keep from being complete, by repository: since when, or in which period."""

    blocked: Mapping[int, datetime]
    uncertain: Mapping[int, tuple[datetime, datetime]]


def find_pending(repository_ids: Collection[int]) -> Pending:
    """Return what the providers say of the repositories."""
    return Pending(find_blocked(repository_ids), find_uncertain(repository_ids))


def is_history_readable() -> bool:
    """Return whether any registered check says that history can be read."""
    return any(check() for check in _credentials_checks)


@contextmanager
def scoped_registration() -> Iterator[None]:
    """Undo on leaving whatever was registered inside; for tests."""
    kept = [*_blocking_deliveries], [*_uncertain_periods], [*_credentials_checks], [*_delivery_lookups]
    try:
        yield
    finally:
        _blocking_deliveries[:], _uncertain_periods[:], _credentials_checks[:], _delivery_lookups[:] = kept
