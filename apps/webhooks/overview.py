"""How the inbox stands, for commands, health and numbers; without a look at what took effect long ago."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from prometheus_client import Counter

from apps.webhooks.models import Delivery

TOOK_EFFECT = (Delivery.State.PROCESSED, Delivery.State.IGNORED)
WITHOUT_EFFECT = tuple(state for state in Delivery.State if state not in TOOK_EFFECT)


@dataclass(frozen=True, slots=True)
class Overview:
    """Deliveries without effect by state; the age of the oldest one without an end; and how long the oldest due one
    has been due, of those that are not slow."""

    states: dict[str, int]
    oldest_waiting_s: float
    lag_s: float


# An index holds exactly these rows, however many took effect.
_STATES = """
SELECT state, count(*), extract(epoch FROM statement_timestamp() - min(received_at))::float8 FROM webhooks_delivery
WHERE NOT state IN ('processed', 'ignored') GROUP BY state
"""
_LAG = """
SELECT greatest(coalesce(extract(epoch FROM statement_timestamp() - (
           SELECT min(not_before) FROM webhooks_delivery WHERE state IN ('received', 'failed') AND NOT is_slow
       )), 0), 0)::float8
"""
_FINISHED = "SELECT state, count(*) FROM webhooks_delivery WHERE state IN ('processed', 'ignored') GROUP BY state"
_ROWS = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'webhooks_delivery'::regclass"
# The newest delivery of each repository, by the index delivery_of_repository.
_LATEST = """
SELECT max(newest.received_at) FROM unnest(%s::bigint[]) AS asked (id)
CROSS JOIN LATERAL (SELECT received_at FROM webhooks_delivery WHERE repository_id = asked.id ORDER BY id DESC LIMIT 1)
    AS newest
"""
# Each step jumps to the next value by an index, however many rows have the one before.
_VALUES = """
WITH RECURSIVE known AS (
    (SELECT {column} AS value FROM webhooks_delivery WHERE {column} > '' ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT (SELECT {column} FROM webhooks_delivery WHERE {column} > '' AND {column} > known.value ORDER BY 1 LIMIT 1)
    FROM known WHERE known.value IS NOT NULL
) SELECT value FROM known WHERE value IS NOT NULL LIMIT 500
"""


def latest_received_at(repository_ids: Collection[int]) -> datetime | None:
    """Return when the newest delivery about any of the repositories was received."""
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, [list(repository_ids)])
        latest: datetime | None = cursor.fetchone()[0]
        return latest


def find_values(column: str) -> list[str]:
    """Return the different values of `event` or `reason`, 500 at most, sorted."""
    with connection.cursor() as cursor:
        cursor.execute(_VALUES.format(column=column))
        return [value for (value,) in cursor.fetchall()]


def look() -> Overview:
    """Count and measure now; every state without effect is named, empty ones with 0."""
    with connection.cursor() as cursor:
        cursor.execute(_STATES)
        found = {state: (count, age) for state, count, age in cursor.fetchall()}
        cursor.execute(_LAG)
        [lag_s] = cursor.fetchone()
    waiting = [found[state][1] for state in Delivery.UNFINISHED if state in found]
    return Overview(
        states={str(state): found.get(state, (0, 0.0))[0] for state in WITHOUT_EFFECT},
        oldest_waiting_s=round(max(waiting, default=0.0), 3),
        lag_s=round(lag_s, 3),
    )


def count_finished() -> dict[str, int]:
    """How many took effect, by state: reads the whole inbox."""
    counts = {str(state): 0 for state in TOOK_EFFECT}
    with connection.cursor() as cursor:
        cursor.execute(_FINISHED)
        counts.update(cursor.fetchall())
    return counts


def estimate_rows() -> int:
    """How many rows the inbox has, by PostgreSQL's own estimate."""
    with connection.cursor() as cursor:
        cursor.execute(_ROWS)
        return int(cursor.fetchone()[0])


ANSWERS = Counter("tformance_door_answers", "Posts at the door by what became of them", ["outcome"])
RINGS = Counter("tformance_rings", "Messages to the workers by what became of them", ["outcome"])
VERDICTS = Counter(
    "tformance_deliveries", "Deliveries that workers finished or put off, by state and reason", ["state", "reason"]
)
LOST_CLAIMS = Counter("tformance_lost_claims", "Deliveries that another worker had taken over before the verdict")
