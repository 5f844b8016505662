"""Keeping a delivery: one statement, one commit, and whatever else is true of its key."""

import hashlib
import json
import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg
from django.db import DatabaseError, connection
from psycopg import errors as postgres

from apps import watchdog
from apps.crash_points import crash_point
from apps.webhooks.bell import ring
from apps.webhooks.counters import ANSWERS
from apps.webhooks.door import conflicts
from apps.webhooks.door.hook import GitHubHook
from apps.webhooks.door.routing import find_routing
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import is_form

LONGEST_WAIT_S = 4.0
logger = logging.getLogger(__name__)

# rung_at is now exactly when workers must be told: the row is new, or it was failed or dead and is armed again.
_KEEP = """
WITH arrived AS (
    INSERT INTO webhooks_delivery AS kept
        (hook_id, guid, event, action, installation_id, repository_id, body_sha256, size, source, signed_by)
    VALUES (%(hook_id)s, %(guid)s, %(event)s, %(action)s, %(installation_id)s, %(repository_id)s,
            %(body_sha256)b, %(size)s, %(source)s, %(signed_by)s)
    ON CONFLICT (hook_id, guid) DO UPDATE SET
        duplicates = kept.duplicates + 1,
        state = CASE WHEN kept.state IN ('failed', 'dead') THEN 'received' ELSE kept.state END,
        reason = CASE WHEN kept.state IN ('failed', 'dead') THEN '' ELSE kept.reason END,
        attempts = CASE WHEN kept.state IN ('failed', 'dead') THEN 0 ELSE kept.attempts END,
        crashes = CASE WHEN kept.state IN ('failed', 'dead') THEN 0 ELSE kept.crashes END,
        finished_at = CASE WHEN kept.state = 'dead' THEN NULL ELSE kept.finished_at END,
        not_before = CASE WHEN kept.state IN ('failed', 'dead') THEN statement_timestamp() ELSE kept.not_before END,
        rung_at = CASE WHEN kept.state IN ('failed', 'dead') THEN statement_timestamp() ELSE kept.rung_at END
    RETURNING id, duplicates, rung_at, body_sha256
), body AS (
    INSERT INTO webhooks_deliverybody (delivery_id, content, headers)
    SELECT id, %(content)b, %(headers)s::jsonb FROM arrived WHERE duplicates = 0
)
SELECT id, duplicates = 0, rung_at = statement_timestamp(), body_sha256 = %(body_sha256)b FROM arrived
"""


class Outcome(StrEnum):
    """What a post was."""

    STORED = "stored"
    REARMED = "rearmed"  # it had failed, and is due again
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"  # the key is known with other content; the first is kept


@dataclass(frozen=True, slots=True)
class Receipt:
    """The row that keeps a delivery."""

    id: int
    key: str
    outcome: Outcome


def receive(
    hook: GitHubHook,
    content: bytes,
    *,
    signed_by: str = "",
    source: Delivery.Source = Delivery.Source.WEBHOOK,
) -> Receipt:
    """Keep a delivery and tell the workers; DatabaseError within 4 s when nothing is known to be stored."""
    parameters = _parameters(hook, content, signed_by=signed_by, source=source)
    with watchdog.limit(seconds=LONGEST_WAIT_S) as wait:
        crash_point("door.before_insert")
        row_id, is_new, is_due, is_same_body = _keep(parameters, wait)
        crash_point("door.after_commit")
        is_conflict = not is_same_body and conflicts.flag_other_content(
            row_id, content=content, content_type=hook.headers.get("content-type", "")
        )
    outcome = _outcome(is_new=is_new, is_due=is_due, is_conflict=is_conflict)
    receipt = Receipt(id=row_id, key=f"{hook.hook_id}:{hook.guid}", outcome=outcome)
    if is_due:
        ring.tell(ring.Post(id=receipt.id, key=receipt.key))
    ANSWERS.labels(outcome.value).inc()
    return receipt


def _outcome(*, is_new: bool, is_due: bool, is_conflict: bool) -> Outcome:
    if is_new:
        return Outcome.STORED
    if is_conflict:
        return Outcome.CONFLICT
    return Outcome.REARMED if is_due else Outcome.DUPLICATE


def _parameters(hook: GitHubHook, content: bytes, *, signed_by: str, source: Delivery.Source) -> dict[str, Any]:
    routing = find_routing(content, is_form=is_form(hook.headers.get("content-type", "")))
    return {
        "hook_id": hook.hook_id,
        "guid": hook.guid,
        "event": hook.event,
        "action": routing.action,
        "installation_id": routing.installation_id,
        "repository_id": routing.repository_id,
        "body_sha256": hashlib.sha256(content).digest(),
        "size": len(content),
        "source": int(source),
        "signed_by": signed_by,
        "content": content,
        "headers": json.dumps(dict(hook.headers)),
    }


def _keep(parameters: dict[str, Any], wait: watchdog.Watched) -> tuple[int, bool, bool, bool]:
    """Run the statement; once more on a new connection if this one turns out to be stale."""
    was_connected = connection.connection is not None
    try:
        return _execute(parameters)
    except DatabaseError as error:
        connection.close()
        if wait.is_cut or not was_connected or not _is_stale(error):
            raise
        return _execute(parameters)


def _execute(parameters: dict[str, Any]) -> tuple[int, bool, bool, bool]:
    connection.ensure_connection()  # no health check: a stale connection shows below and is mended above
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        # The driver's own cursor binds on the server: the bytes travel as they are and the plan is kept.
        rows: list[tuple[int, bool, bool, bool]] = cursor.execute(_KEEP, parameters, prepare=True).fetchall()
    return rows[0]


def _is_stale(error: DatabaseError) -> bool:
    """Whether the server had closed the connection before it read the statement, as after a restart."""
    cause = error.__cause__
    return isinstance(cause, psycopg.OperationalError) and (
        cause.sqlstate is None or isinstance(cause, postgres.AdminShutdown | postgres.CrashShutdown)
    )
