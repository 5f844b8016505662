"""The state of the inbox, for commands, health checks and metrics; finished deliveries are not read.

Until the pending deliveries of a repository are processed, its completeness ends at the oldest.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from prometheus_client import Counter

from apps.activity.models import RepositoryAccess
from apps.common import db
from apps.metrics.completeness.providers import KnownDelivery, Pending
from apps.webhooks.models import Delivery

FINISHED = (Delivery.State.PROCESSED, Delivery.State.IGNORED)
PENDING = tuple(state for state in Delivery.State if state not in FINISHED)


@dataclass(frozen=True, slots=True)
class Overview:
    """Deliveries that are not processed or ignored, by state; the age of the oldest unfinished one; and how long the
    oldest due one has been due, without slow ones."""

    states: dict[str, int]
    oldest_waiting_s: float
    lag_s: float


# An index has exactly these rows, however many are finished.
_STATES = """
SELECT state, count(*), extract(epoch FROM statement_timestamp() - min(received_at))::float8 FROM webhooks_delivery
WHERE NOT state IN ('processed', 'ignored') GROUP BY state
"""
_LAG = """
SELECT greatest(coalesce(extract(epoch FROM statement_timestamp() - (
           SELECT min(not_before) FROM webhooks_delivery WHERE state IN ('received', 'failed') AND NOT is_slow
       )), 0), 0)::float8
"""
_COUNT_FINISHED = "SELECT state, count(*) FROM webhooks_delivery WHERE state IN ('processed', 'ignored') GROUP BY state"
_ROWS = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'webhooks_delivery'::regclass"
# The newest delivery of each repository, by the index delivery_of_repository.
LATEST = """
SELECT max(newest.received_at) FROM unnest(%s::bigint[]) AS asked (id)
CROSS JOIN LATERAL (SELECT received_at FROM webhooks_delivery WHERE repository_id = asked.id ORDER BY id DESC LIMIT 1)
    AS newest
"""
_LONGEST_GAP = """
SELECT max(gap) FROM (
    SELECT hour - lag(hour) OVER (ORDER BY hour) AS gap FROM (
        SELECT DISTINCT date_trunc('hour', received_at, 'UTC') AS hour FROM webhooks_delivery
        WHERE received_at >= %(since)s {is_theirs}
    ) AS hours
) AS gaps
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
        cursor.execute(LATEST, [list(repository_ids)])
        latest: datetime | None = cursor.fetchone()[0]
        return latest


def newest_received_at() -> datetime | None:
    """Return when the newest delivery of the instance was received."""
    return Delivery.objects.order_by("-received_at", "-pk").values_list("received_at", flat=True).first()


def longest_gap(repository_ids: Collection[int] | None, *, since: datetime) -> timedelta:
    """Return the longest time without a delivery since then, to the hour; of all repositories where none are named."""
    is_theirs = "" if repository_ids is None else "AND repository_id = ANY(%(ids)s)"
    parameters = {"since": since, "ids": list(repository_ids or ())}
    [(longest,)] = db.run(_LONGEST_GAP.format(is_theirs=is_theirs), parameters)
    return longest or timedelta(0)


def find_values(column: str) -> list[str]:
    """Return the different values of `event` or `reason`, 500 at most, sorted."""
    with connection.cursor() as cursor:
        cursor.execute(_VALUES.format(column=column))
        return [value for (value,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Failures:
    """Deliveries in one state that failed alike: how many, and when the first and the last of them arrived."""

    state: str
    reason: str
    event: str
    error: str
    count: int
    first_at: datetime
    last_at: datetime


MOST_FAILURES = 2_000
_FAILURES = """
SELECT state, reason, event, error, count(*), min(received_at), max(received_at)
FROM unnest(%s::text[]) AS asked (wanted)
CROSS JOIN LATERAL (
    SELECT state, reason, event, error, received_at FROM webhooks_delivery
    WHERE state = asked.wanted AND NOT state IN ('received', 'running') ORDER BY id DESC LIMIT %s
) AS failed
GROUP BY state, reason, event, error ORDER BY count(*) DESC, max(received_at) DESC LIMIT %s
"""


def group_failures(*, states: Collection[str], most: int = 20) -> list[Failures]:
    """Return the most frequent failures among the newest deliveries in each of the states."""
    return [Failures(*row) for row in db.run(_FAILURES, [list(states), MOST_FAILURES, most])]


@dataclass(frozen=True, slots=True)
class Hour:
    """The deliveries that arrived in an hour: how they ended, and how long live ones took until they were finished."""

    begins_at: datetime
    processed: int
    ignored: int
    failed: int
    unfinished: int
    median_s: float | None
    p95_s: float | None

    @property
    def count(self) -> int:
        return self.processed + self.ignored + self.failed + self.unfinished


# The index delivery_by_time has exactly the rows of the time.
_HOURS = """
SELECT hour.begins_at, count(d.id) FILTER (WHERE state = 'processed'), count(d.id) FILTER (WHERE state = 'ignored'),
       count(d.id) FILTER (WHERE state IN ('failed', 'dead', 'quarantined')),
       count(d.id) FILTER (WHERE state IN ('received', 'running')),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY took_s), percentile_cont(0.95) WITHIN GROUP (ORDER BY took_s)
FROM generate_series(date_trunc('hour', %(now)s::timestamptz) - make_interval(hours => %(hours)s - 1),
                     %(now)s::timestamptz, interval '1 hour') AS hour (begins_at)
LEFT JOIN LATERAL (
    SELECT id, state, CASE WHEN source = 0 THEN extract(epoch FROM finished_at - received_at)::float8 END AS took_s
    FROM webhooks_delivery
    WHERE received_at >= hour.begins_at AND received_at < hour.begins_at + interval '1 hour'
) AS d ON true
GROUP BY hour.begins_at ORDER BY hour.begins_at
"""


def read_hours(*, now: datetime, hours: int = 24) -> list[Hour]:
    """Return the last hours, the present one included; the oldest first."""
    return [Hour(*row) for row in db.run(_HOURS, {"now": now, "hours": hours})]


def look() -> Overview:
    """Return the overview; every pending state is included, also with 0."""
    with connection.cursor() as cursor:
        cursor.execute(_STATES)
        found = {state: (count, age) for state, count, age in cursor.fetchall()}
        cursor.execute(_LAG)
        [lag_s] = cursor.fetchone()
    waiting = [found[state][1] for state in Delivery.UNFINISHED if state in found]
    return Overview(
        states={str(state): found.get(state, (0, 0.0))[0] for state in PENDING},
        oldest_waiting_s=round(max(waiting, default=0.0), 3),
        lag_s=round(lag_s, 3),
    )


def count_finished() -> dict[str, int]:
    """Return the number of finished deliveries by state; this reads the whole inbox."""
    counts = {str(state): 0 for state in FINISHED}
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_FINISHED)
        counts.update(cursor.fetchall())
    return counts


def estimate_rows() -> int:
    """Return PostgreSQL's estimate of the rows of the inbox."""
    with connection.cursor() as cursor:
        cursor.execute(_ROWS)
        return int(cursor.fetchone()[0])


# The index `delivery_without_effect` has the oldest of a repository first; a backlog of any length costs the same. What
# names no repository comes with a null for it, and with its installation.
_PENDING = """
SELECT asked.id, NULL, oldest.received_at, oldest.received_at
FROM unnest(%s::bigint[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT received_at FROM webhooks_delivery
    WHERE repository_id = asked.id AND NOT state IN ('processed', 'ignored')
    ORDER BY received_at LIMIT 1
) AS oldest
UNION ALL
SELECT NULL, installation_id, min(received_at), max(received_at) FROM webhooks_delivery
WHERE repository_id IS NULL AND NOT state IN ('processed', 'ignored') GROUP BY installation_id
"""

Between = tuple[datetime, datetime]


def pending_of(repository_ids: Collection[int]) -> Pending:
    """Return when the oldest pending delivery of each repository arrived, and when those that may concern it did."""
    blocked: dict[int, datetime] = {}
    unnamed: dict[int | None, Between] = {}
    for repository_id, installation_id, first_at, last_at in db.run(_PENDING, [list(repository_ids)]):
        if repository_id is None:
            unnamed[installation_id] = first_at, last_at
        else:
            blocked[repository_id] = first_at
    return Pending(blocked=blocked, uncertain=_concerned_by(unnamed, repository_ids) if unnamed else {})


def find_deliveries(ids: Collection[int]) -> dict[int, KnownDelivery]:
    """Return what is known of the deliveries, by id."""
    rows = Delivery.objects.filter(pk__in=ids).values_list("pk", "guid", "event", "received_at")
    return {key: KnownDelivery(guid, event, received_at) for key, guid, event, received_at in rows}


def _concerned_by(unnamed: dict[int | None, Between], repository_ids: Collection[int]) -> dict[int, Between]:
    """Return when the first and last pending delivery without a repository arrived that may concern each repository.

    One of an installation may concern whatever that ever reached: it could be the news that a repository was lost. One
    that names no installation either may concern any repository at all. Nobody may ever be able to use such a delivery,
    so the caller decides when its content is known from elsewhere.
    """
    concerned = dict.fromkeys(repository_ids, unnamed.pop(None)) if None in unnamed else {}
    accesses = RepositoryAccess.objects.filter(repository__in=repository_ids, installation__in=unnamed)
    for repository_id, installation_id in accesses.values_list("repository_id", "installation_id"):
        first, last = unnamed[installation_id]
        known = concerned.get(repository_id, (first, last))
        concerned[repository_id] = min(first, known[0]), max(last, known[1])
    return concerned


RESPONSES = Counter("tformance_webhook_responses", "Webhook requests by outcome", ["outcome"])
RESULTS = Counter(
    "tformance_deliveries", "Deliveries that workers finished or postponed, by state and reason", ["state", "reason"]
)
LOST_CLAIMS = Counter(
    "tformance_lost_claims", "Deliveries that another worker had claimed before the result was stored"
)
