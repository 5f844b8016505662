"""Group commit: deliveries that arrive together are written with one statement and one commit.

The first thread that arrives while no write is running becomes the leader and writes at once. Threads that arrive
during the write wait, and the first of them then writes for all. So each delivery costs less under load.
"""

import hashlib
import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import Error, OperationalError, connection
from psycopg import errors as postgres
from psycopg.adapt import Dumper
from psycopg.postgres import types as postgres_types
from psycopg.pq import Format

from apps.common import db
from apps.common.db import is_database_unavailable
from apps.common.failpoints import failpoint
from apps.webhooks.parsing import Routing
from apps.webhooks.signature import GitHubHook

LONGEST_WAIT_S = 4.0
OVERDUE_S = 0.05  # a longer write does not block others: the next leader writes in parallel
MOST_TOGETHER = 32
MOST_BYTES_TOGETHER = 1024 * 1024
# The speed at which bodies too large for a group must be written: 25 MB may take 10 s, GitHub's own timeout.
BYTES_A_SECOND = 4 * 1024 * 1024

# notified_at is now exactly if workers must be notified: the row is new, or it was failed or dead and is due again.
# Rows are written in the order of their keys, so that two processes with the same ones cannot wait for each other.
# Content that does not match its SHA-256 becomes NULL, which the column rejects, so nothing is committed. This happens
# behind a pooler that runs a statement with the parameters of another.
_INSERT = """
WITH posted AS (
    SELECT hook_id, guid, event, action, installation_id, repository_id, decode(sha256, 'hex') AS body_sha256, size,
           source, signed_by, content, headers,
           coalesce(least(received_at, statement_timestamp()), statement_timestamp()) AS received_at
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS one (
        place bigint, hook_id bigint, guid uuid, event text, action text, installation_id bigint, repository_id bigint,
        sha256 text, size bigint, source smallint, signed_by text, headers jsonb, received_at timestamptz
    ) JOIN unnest(%(contents)b::bytea[]) WITH ORDINALITY AS body (content, place) USING (place)
), arrived AS (
    INSERT INTO webhooks_delivery AS kept
        (hook_id, guid, event, action, installation_id, repository_id, body_sha256, size, source, signed_by,
         received_at)
    SELECT hook_id, guid, event, action, installation_id, repository_id, body_sha256, size, source, signed_by,
           received_at
    FROM posted ORDER BY hook_id, guid
    ON CONFLICT (hook_id, guid) DO UPDATE SET
        duplicates = kept.duplicates + 1,
        signed_by = coalesce(nullif(excluded.signed_by, ''), kept.signed_by),
        state = CASE WHEN kept.state IN ('failed', 'dead') THEN 'received' ELSE kept.state END,
        reason = CASE WHEN kept.state IN ('failed', 'dead') THEN '' ELSE kept.reason END,
        attempts = CASE WHEN kept.state IN ('failed', 'dead') THEN 0 ELSE kept.attempts END,
        crashes = CASE WHEN kept.state IN ('failed', 'dead') THEN 0 ELSE kept.crashes END,
        finished_at = CASE WHEN kept.state = 'dead' THEN NULL ELSE kept.finished_at END,
        not_before = CASE WHEN kept.state IN ('failed', 'dead') THEN statement_timestamp() ELSE kept.not_before END,
        notified_at = CASE WHEN kept.state IN ('failed', 'dead') THEN statement_timestamp() ELSE kept.notified_at END
    RETURNING id, hook_id, guid, duplicates, notified_at, body_sha256, received_at
), body AS (
    INSERT INTO webhooks_deliverybody (day, delivery_id, content, headers)
    SELECT (arrived.received_at AT TIME ZONE 'UTC')::date, arrived.id,
           CASE WHEN sha256(posted.content) = posted.body_sha256 THEN posted.content END, posted.headers
    FROM arrived JOIN posted USING (hook_id, guid)
    WHERE arrived.duplicates = 0
)
SELECT hook_id, guid, arrived.id, arrived.duplicates = 0, arrived.notified_at = statement_timestamp(),
       arrived.body_sha256 = posted.body_sha256
FROM arrived JOIN posted USING (hook_id, guid)
"""

# The driver copies the elements of an array, and a single body may have 25 MB: then see RawBytesDumper.
_INSERT_ONE = _INSERT.replace("%(contents)b::bytea[]", "ARRAY[%(contents)b::bytea]")


class RawBytesDumper(Dumper):
    """Send bytes to the database without the copy that the driver's own dumper makes."""

    format = Format.BINARY
    oid = postgres_types["bytea"].oid

    def dump(self, obj: bytes) -> bytes:
        return obj


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A delivery to be written."""

    hook: GitHubHook
    content: bytes = field(repr=False)
    routing: Routing
    source: int
    signed_by: str
    received_at: datetime | None = None
    """When it would have arrived, if it was recovered later; otherwise now."""

    @property
    def key(self) -> tuple[int, UUID]:
        return self.hook.hook_id, self.hook.guid


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """The row of a delivery's key after the write."""

    id: int
    is_new: bool
    is_due: bool  # workers must be notified
    is_same_body: bool


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False, slots=True)
class _Waiter:
    """A waiting thread: once called, its delivery was written, or failed, or the thread is the leader."""

    delivery: NewDelivery
    call: threading.Lock = field(
        default_factory=_taken_lock
    )  # released by the caller; an Event costs ten times as much
    leads: "list[_Waiter]" = field(default_factory=list)  # the waiters it has to write for, itself first
    stored: StoredDelivery | None = None
    error: Exception | None = None


class GroupCommitter:
    """The waiting threads of a process, and the election of leaders."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: deque[_Waiter] = deque()
        self._writers = 0

    def store(self, delivery: NewDelivery) -> StoredDelivery:
        """Write a delivery, alone or in a group; DatabaseError in `longest_wait_s` if it may not be written."""
        mine = _Waiter(delivery)
        with self._lock:
            self._waiters.append(mine)
            if not self._writers:
                self._elect_leader()
        while not mine.call.acquire(timeout=OVERDUE_S):
            with self._lock:
                if mine in self._waiters:
                    self._elect_leader()
        if mine.leads:
            self._write_batch(mine.leads)
        if mine.stored is None:
            raise OperationalError("The delivery could not be stored.") from mine.error
        return mine.stored

    def _elect_leader(self) -> None:
        """Make the first waiter the leader of as many as fit in a group; called under the lock."""
        if not self._waiters:
            return
        first = self._waiters[0]
        keys: set[tuple[int, UUID]] = set()
        left: deque[_Waiter] = deque()
        size = 0
        while self._waiters and len(first.leads) < MOST_TOGETHER:
            waiter = self._waiters.popleft()
            size += len(waiter.delivery.content)
            if waiter.delivery.key in keys or (keys and size > MOST_BYTES_TOGETHER):
                left.append(waiter)  # a statement may have a key only once
                continue
            keys.add(waiter.delivery.key)
            first.leads.append(waiter)
        self._waiters.extendleft(reversed(left))
        self._writers += 1
        first.call.release()

    def _write_batch(self, waiters: Sequence[_Waiter]) -> None:
        """Write for all waiters; if one of them may be the cause of an error, let each write alone."""
        others = waiters[1:]
        is_split = False
        try:
            is_split = not _write_for(waiters)
        finally:
            with self._lock:
                if is_split:
                    self._writers += len(others)
                    for waiter in waiters:
                        waiter.leads = [waiter]
                else:
                    self._writers -= 1
                    if not self._writers:
                        self._elect_leader()
            for waiter in others:
                waiter.call.release()
        if is_split:
            self._write_batch(waiters[:1])


def _write_for(waiters: Sequence[_Waiter]) -> bool:
    """Write and set the results of all waiters; return False without results if one may have caused the error."""
    try:
        found = write([waiter.delivery for waiter in waiters])
    except Error as error:
        if len(waiters) > 1 and not is_database_unavailable(error):  # a row is locked, or its content is rejected
            return False
        for waiter in waiters:
            waiter.error = error
    else:
        for waiter in waiters:
            waiter.stored = found.get(waiter.delivery.key)  # None if a pooler used the parameters of another statement
    return True


def write(deliveries: Sequence[NewDelivery]) -> dict[tuple[int, UUID], StoredDelivery]:
    """Write deliveries with one statement; DatabaseError within `longest_wait_s` if they may not be written."""
    parameters = _parameters(deliveries)
    with db.limit(seconds=longest_wait_s(sum(len(one.content) for one in deliveries))) as wait:
        failpoint("receiver.before_insert")
        rows = _execute_on_a_live_connection(parameters, wait)
        failpoint("receiver.after_commit")
    return {(hook_id, guid): StoredDelivery(*found) for hook_id, guid, *found in rows}


def longest_wait_s(size: int) -> float:
    """Return how long the database may take over bodies of so many bytes in all."""
    return LONGEST_WAIT_S + (size / BYTES_A_SECOND if size > MOST_BYTES_TOGETHER else 0)


def _parameters(deliveries: Sequence[NewDelivery]) -> dict[str, Any]:
    """Return the parameters: one JSON document for all short columns, because a dozen arrays are slow in the driver."""
    rows = [_row(one, place=place) for place, one in enumerate(deliveries, start=1)]
    contents = [one.content for one in deliveries]
    return {"rows": json.dumps(rows), "contents": contents[0] if len(contents) == 1 else contents}


def _row(delivery: NewDelivery, *, place: int) -> dict[str, Any]:
    return {
        "place": place,
        "hook_id": delivery.hook.hook_id,
        "guid": str(delivery.hook.guid),
        "event": delivery.hook.event,
        "action": delivery.routing.action,
        "installation_id": delivery.routing.installation_id,
        "repository_id": delivery.routing.repository_id,
        "sha256": hashlib.sha256(delivery.content).hexdigest(),
        "size": len(delivery.content),
        "source": delivery.source,
        "signed_by": delivery.signed_by,
        "headers": dict(delivery.hook.headers),
        "received_at": None if delivery.received_at is None else delivery.received_at.isoformat(),
    }


def _execute_on_a_live_connection(parameters: dict[str, Any], wait: db.Deadline) -> list[tuple[Any, ...]]:
    """Run the statement, and again on a new connection if this one is stale."""
    was_connected = connection.connection is not None
    try:
        return _execute(parameters)
    except Error as error:
        connection.close()
        if wait.is_cut or not was_connected or not _is_stale(error):
            raise
        return _execute(parameters)


def _execute(parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    connection.ensure_connection()  # no health check: a stale connection fails below and is replaced above
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        # The driver's own cursor binds on the server: bytes are sent unchanged and the plan is cached.
        if isinstance(parameters["contents"], list):
            return cursor.execute(_INSERT, parameters, prepare=True).fetchall()
        cursor.adapters.register_dumper(bytes, RawBytesDumper)
        with time_for(len(parameters["contents"])):
            return cursor.execute(_INSERT_ONE, parameters, prepare=True).fetchall()


@contextmanager
def time_for(size: int) -> Iterator[None]:
    """Extend the statement timeout for a body of this size, to a second less than our own timeout.

    The driver keeps the buffer of a large body as long as its connection, so the connection is closed.
    """
    if size <= MOST_BYTES_TOGETHER:
        yield
        return
    connection.ensure_connection()
    try:
        with connection.connection.transaction():
            connection.connection.execute(f"SET LOCAL statement_timeout = '{longest_wait_s(size) - 1:.0f}s'")
            yield
    finally:
        if not connection.in_atomic_block:
            connection.close()


def _is_stale(error: Error) -> bool:
    """Return whether the server had closed the connection before the statement, as after a restart."""
    cause = error.__cause__
    return isinstance(cause, psycopg.OperationalError) and (
        cause.sqlstate is None or isinstance(cause, postgres.AdminShutdown | postgres.CrashShutdown)
    )
