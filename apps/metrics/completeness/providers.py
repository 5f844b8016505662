"""What figures need from the apps above this one: they register providers, and no import goes upwards."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

CredentialsCheck = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class KnownDelivery:
    """A delivery, as a source of facts."""

    guid: UUID
    event: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """What unprocessed deliveries keep from being complete, by repository; most have none.

    `blocked`: the earliest instant after which it cannot be complete. `uncertain`: the first and last instant at which
    deliveries may be lacking; the period is over for a stream that was read after its last instant.
    """

    blocked: Mapping[int, datetime]
    uncertain: Mapping[int, tuple[datetime, datetime]]


DeliveryLookup = Callable[[Collection[int]], Mapping[int, KnownDelivery]]
PendingDeliveries = Callable[[Collection[int]], Pending]

_pending_deliveries: list[PendingDeliveries] = []
_credentials_checks: list[CredentialsCheck] = []
_delivery_lookups: list[DeliveryLookup] = []


def register_pending_deliveries(provider: PendingDeliveries) -> PendingDeliveries:
    """Register a function from repository ids to what unprocessed deliveries keep from being complete."""
    _pending_deliveries.append(provider)
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


def find_pending(repository_ids: Collection[int]) -> Pending:
    """Return what the providers say of the repositories, together."""
    blocked: dict[int, datetime] = {}
    uncertain: dict[int, tuple[datetime, datetime]] = {}
    for provider in _pending_deliveries:
        found = provider(repository_ids)
        for repository_id, at in found.blocked.items():
            blocked[repository_id] = min(at, blocked.get(repository_id, at))
        for repository_id, (first_at, last_at) in found.uncertain.items():
            known = uncertain.get(repository_id, (first_at, last_at))
            uncertain[repository_id] = min(first_at, known[0]), max(last_at, known[1])
    return Pending(blocked, uncertain)


def is_history_readable() -> bool:
    """Return whether any registered check says that history can be read."""
    return any(check() for check in _credentials_checks)


@contextmanager
def scoped_registration() -> Iterator[None]:
    """Undo on leaving whatever was registered inside; for tests."""
    kept = [*_pending_deliveries], [*_credentials_checks], [*_delivery_lookups]
    try:
        yield
    finally:
        _pending_deliveries[:], _credentials_checks[:], _delivery_lookups[:] = kept
