"""A bounded, rate-limited record of what the door refused: why, from what, how often; never the body."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import DatabaseError, connection
from django.db.models import Max

from apps.webhooks import watchdog
from apps.webhooks.counters import ANSWERS
from apps.webhooks.gathering import Gatherer
from apps.webhooks.models import Refusal

ROWS_KEPT = 1000
GATHER_S = 1.0
LONGEST_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused post."""

    status: int
    reason: str
    headers: Mapping[str, str]
    size: int | None
    body_sha256: bytes | None


def note(*, status: int, reason: str, headers: Mapping[str, str], size: int | None, body: bytes | None) -> None:
    """Count a refusal and have a sample of it stored within seconds; returns at once and never fails."""
    ANSWERS.labels(reason).inc()
    digest = hashlib.sha256(body).digest() if body is not None else None
    _gatherer.put(Refused(status=status, reason=reason, headers=headers, size=size, body_sha256=digest))


def store(refused: Sequence[Refused]) -> None:
    """Write one row per reason, of its last refusal, and drop the oldest rows beyond those kept."""
    last = {(one.status, one.reason): one for one in refused}
    rows = [
        Refusal(
            status=one.status,
            reason=one.reason,
            count=sum((other.status, other.reason) == key for other in refused),
            headers=dict(one.headers),
            size=one.size,
            body_sha256=one.body_sha256,
        )
        for key, one in last.items()
    ]
    Refusal.objects.bulk_create(rows)
    newest = Refusal.objects.aggregate(newest=Max("id"))["newest"] or 0
    Refusal.objects.filter(id__lte=newest - ROWS_KEPT).delete()


def _store_in_background(refused: list[Refused]) -> None:
    try:
        with watchdog.limit(seconds=LONGEST_WAIT_S):
            store(refused)
    except DatabaseError:
        ANSWERS.labels("refusal_not_stored").inc(len(refused))
    finally:
        connection.close()


_gatherer: Gatherer[Refused] = Gatherer(
    name="refusals", hand_over=_store_in_background, gather_s=GATHER_S, capacity=10_000
)
