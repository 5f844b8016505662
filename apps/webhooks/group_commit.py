"""Deliveries that arrive together are written together: one statement, one commit.

Whoever comes while nobody writes leads, and writes at once: at rest each delivery is written alone. Those who come
meanwhile stand in line, and the first of them writes for all. So the more there is to do, the less each costs.
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
from apps.webhooks.origin import GitHubHook, Routing

LONGEST_WAIT_S = 4.0
OVERDUE_S = 0.05  # a write that takes longer holds up nobody: the next leads beside it
MOST_TOGETHER = 32
MOST_BYTES_TOGETHER = 1024 * 1024
# Of a body too large to be written with others: 25 MB may take 10 s, which is as long as GitHub waits.
BYTES_A_SECOND = 4 * 1024 * 1024

# rung_at is now exactly when workers must be told: the row is new, or it was failed or dead and is armed again.
# Rows are written in the order of their keys, so that two processes with the same ones cannot wait for each other.
# Content that does not have its SHA-256 is NULL, which the column refuses: then nothing of the statement is committed.
# It happens behind a pooler that runs a statement with the parameters of another.
_KEEP = """
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
        state = CASE WHEN kept.state IN ('failed', 'dead') THEN 'received' ELSE kept.state END,
        reason = CASE WHEN kept.state IN ('failed', 'dead') THEN '' ELSE kept.reason END,
        attempts = CASE WHEN kept.state IN ('failed', 'dead') THEN 0 ELSE kept.attempts END,
        crashes = CASE WHEN kept.state IN ('failed', 'dead') THEN 0 ELSE kept.crashes END,
        finished_at = CASE WHEN kept.state = 'dead' THEN NULL ELSE kept.finished_at END,
        not_before = CASE WHEN kept.state IN ('failed', 'dead') THEN statement_timestamp() ELSE kept.not_before END,
        rung_at = CASE WHEN kept.state IN ('failed', 'dead') THEN statement_timestamp() ELSE kept.rung_at END
    RETURNING id, hook_id, guid, duplicates, rung_at, body_sha256, received_at
), body AS (
    INSERT INTO webhooks_deliverybody (day, delivery_id, content, headers)
    SELECT (arrived.received_at AT TIME ZONE 'UTC')::date, arrived.id,
           CASE WHEN sha256(posted.content) = posted.body_sha256 THEN posted.content END, posted.headers
    FROM arrived JOIN posted USING (hook_id, guid)
    WHERE arrived.duplicates = 0
)
SELECT hook_id, guid, arrived.id, arrived.duplicates = 0, arrived.rung_at = statement_timestamp(),
       arrived.body_sha256 = posted.body_sha256
FROM arrived JOIN posted USING (hook_id, guid)
"""

# The driver copies the elements of an array, and a single body may have 25 MB: then see RawBytesDumper.
_KEEP_ONE = _KEEP.replace("%(contents)b::bytea[]", "ARRAY[%(contents)b::bytea]")


class RawBytesDumper(Dumper):
    """A body for the database: read where it lies. The driver's own way to send bytes copies them first."""

    format = Format.BINARY
    oid = postgres_types["bytea"].oid

    def dump(self, obj: bytes) -> bytes:
        return obj


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """What is written of one post."""

    hook: GitHubHook
    content: bytes = field(repr=False)
    routing: Routing
    source: int
    signed_by: str
    received_at: datetime | None = None
    """When it would have arrived, where it is late; else now."""

    @property
    def key(self) -> tuple[int, UUID]:
        return self.hook.hook_id, self.hook.guid


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """What is known of a key once the post is written."""

    id: int
    is_new: bool
    is_due: bool  # workers must be told
    is_same_body: bool


def _taken_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False, slots=True)
class _Waiter:
    """One thread in line: once it is called, its parcel is written, or could not be, or it leads."""

    parcel: NewDelivery
    call: threading.Lock = field(default_factory=_taken_lock)  # released by who calls; an Event costs ten times as much
    leads: "list[_Waiter]" = field(default_factory=list)  # for whom it has to write, itself the first
    kept: StoredDelivery | None = None
    error: Exception | None = None


class GroupCommitter:
    """The threads of a process that have something to write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: deque[_Waiter] = deque()
        self._writers = 0

    def keep(self, parcel: NewDelivery) -> StoredDelivery:
        """Write a parcel, alone or with others; DatabaseError in `longest_wait_s` if nothing is known to be written."""
        mine = _Waiter(parcel)
        with self._lock:
            self._turns.append(mine)
            if not self._writers:
                self._elect_leader()
        while not mine.call.acquire(timeout=OVERDUE_S):
            with self._lock:
                if mine in self._turns:
                    self._elect_leader()
        if mine.leads:
            self._write_batch(mine.leads)
        if mine.kept is None:
            raise OperationalError("The delivery could not be written.") from mine.error
        return mine.kept

    def _elect_leader(self) -> None:
        """Let the first in line write for as many as may go together; under the lock."""
        if not self._turns:
            return
        first = self._turns[0]
        keys: set[tuple[int, UUID]] = set()
        left: deque[_Waiter] = deque()
        size = 0
        while self._turns and len(first.leads) < MOST_TOGETHER:
            turn = self._turns.popleft()
            size += len(turn.parcel.content)
            if turn.parcel.key in keys or (keys and size > MOST_BYTES_TOGETHER):
                left.append(turn)  # a statement meets a key once
                continue
            keys.add(turn.parcel.key)
            first.leads.append(turn)
        self._turns.extendleft(reversed(left))
        self._writers += 1
        first.call.release()

    def _write_batch(self, turns: Sequence[_Waiter]) -> None:
        """Write for all of them, or, if one of them may be at fault, let each write for itself."""
        others = turns[1:]
        is_split = False
        try:
            is_split = not _write_for(turns)
        finally:
            with self._lock:
                if is_split:
                    self._writers += len(others)
                    for turn in turns:
                        turn.leads = [turn]
                else:
                    self._writers -= 1
                    if not self._writers:
                        self._elect_leader()
            for turn in others:
                turn.call.release()
        if is_split:
            self._write_batch(turns[:1])


def _write_for(turns: Sequence[_Waiter]) -> bool:
    """Tell all of them how it went; False, and nobody is told, if it failed for what may be the fault of one."""
    try:
        found = write([turn.parcel for turn in turns])
    except Error as error:
        if len(turns) > 1 and not is_database_unavailable(error):  # one's row is held, or its content refused
            return False
        for turn in turns:
            turn.error = error
    else:
        for turn in turns:
            turn.kept = found.get(turn.parcel.key)  # None if a pooler ran it with parameters of another statement
    return True


def write(parcels: Sequence[NewDelivery]) -> dict[tuple[int, UUID], StoredDelivery]:
    """One statement, one commit; DatabaseError within `longest_wait_s` when nothing is known to be written."""
    parameters = _parameters(parcels)
    with db.limit(seconds=longest_wait_s(sum(len(one.content) for one in parcels))) as wait:
        failpoint("door.before_insert")
        rows = _execute_on_a_live_connection(parameters, wait)
        failpoint("door.after_commit")
    return {(hook_id, guid): StoredDelivery(*found) for hook_id, guid, *found in rows}


def longest_wait_s(size: int) -> float:
    """Return how long the database may take over bodies of so many bytes in all."""
    return LONGEST_WAIT_S + (size / BYTES_A_SECOND if size > MOST_BYTES_TOGETHER else 0)


def _parameters(parcels: Sequence[NewDelivery]) -> dict[str, Any]:
    """One JSON document for all the short columns: the driver takes longer over a dozen arrays than all else does."""
    rows = [_row(one, place=place) for place, one in enumerate(parcels, start=1)]
    contents = [one.content for one in parcels]
    return {"rows": json.dumps(rows), "contents": contents[0] if len(contents) == 1 else contents}


def _row(parcel: NewDelivery, *, place: int) -> dict[str, Any]:
    return {
        "place": place,
        "hook_id": parcel.hook.hook_id,
        "guid": str(parcel.hook.guid),
        "event": parcel.hook.event,
        "action": parcel.routing.action,
        "installation_id": parcel.routing.installation_id,
        "repository_id": parcel.routing.repository_id,
        "sha256": hashlib.sha256(parcel.content).hexdigest(),
        "size": len(parcel.content),
        "source": parcel.source,
        "signed_by": parcel.signed_by,
        "headers": dict(parcel.hook.headers),
        "received_at": None if parcel.received_at is None else parcel.received_at.isoformat(),
    }


def _execute_on_a_live_connection(parameters: dict[str, Any], wait: db.Deadline) -> list[tuple[Any, ...]]:
    """Run the statement; once more on a new connection if this one turns out to be stale."""
    was_connected = connection.connection is not None
    try:
        return _execute(parameters)
    except Error as error:
        connection.close()
        if wait.is_cut or not was_connected or not _is_stale(error):
            raise
        return _execute(parameters)


def _execute(parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    connection.ensure_connection()  # no health check: a stale connection shows below and is mended above
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        # The driver's own cursor binds on the server: the bytes travel as they are and the plan is kept.
        if isinstance(parameters["contents"], list):
            return cursor.execute(_KEEP, parameters, prepare=True).fetchall()
        cursor.adapters.register_dumper(bytes, RawBytesDumper)
        with time_for(len(parameters["contents"])):
            return cursor.execute(_KEEP_ONE, parameters, prepare=True).fetchall()


@contextmanager
def time_for(size: int) -> Iterator[None]:
    """Let the statement inside take as long as a body of this size may, a second less than we wait for it.

    The driver keeps the buffer that a large body needed as long as its connection, which therefore ends.
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
    """Whether the server had closed the connection before it read the statement, as after a restart."""
    cause = error.__cause__
    return isinstance(cause, psycopg.OperationalError) and (
        cause.sqlstate is None or isinstance(cause, postgres.AdminShutdown | postgres.CrashShutdown)
    )
