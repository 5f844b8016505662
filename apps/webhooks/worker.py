"""The work on claimed deliveries: each is translated by itself, then all take effect in one transaction."""

import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection, transaction

from apps.activity.facts import Evidence, Fact, Source
from apps.activity.record import record
from apps.common import db
from apps.common.db import sqlstate_of
from apps.common.failpoints import failpoint
from apps.webhooks import claims, wakeups
from apps.webhooks.claims import Claimed
from apps.webhooks.inbox_overview import LOST_CLAIMS, RESULTS
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import ClaimLostError
from apps.webhooks.retry import GiveUp, decide, is_data_error, is_infrastructure_error, lost_a_lock, may_be_provoked
from apps.webhooks.translate import TranslationResult, describe, place_of, translate_delivery

_FINISH = """
UPDATE webhooks_delivery d
SET state = v.state, reason = v.reason, error = v.error, finished_at = statement_timestamp(),
    attempts = d.attempts + 1, is_sanitised = v.is_sanitised,
    action = CASE WHEN v.is_parsed THEN v.action ELSE d.action END,
    installation_id = CASE WHEN v.is_parsed THEN v.installation_id ELSE d.installation_id END,
    repository_id = CASE WHEN v.is_parsed THEN v.repository_id ELSE d.repository_id END,
    is_replayed_body = EXISTS (
        SELECT FROM webhooks_delivery earlier
        WHERE earlier.body_sha256 = d.body_sha256 AND earlier.id < d.id
          -- not by an index: a hook has posted most of the table
          AND earlier.hook_id IS NOT DISTINCT FROM d.hook_id
    ),
    lease_until = NULL, leased_by = '', is_claimed_alone = false
FROM unnest(
    %s::bigint[], %s::int[], %s::text[], %s::text[], %s::text[], %s::bool[], %s::bool[], %s::text[], %s::bigint[],
    %s::bigint[]
) AS v (id, claim_number, state, reason, error, is_sanitised, is_parsed, action, installation_id, repository_id)
WHERE d.id = v.id AND d.claim_number = v.claim_number AND d.state = 'running'
RETURNING d.id
"""


def hold(result: TranslationResult) -> None:
    """Lock the claim of a delivery until the caller's transaction ends, or raise ClaimLostError."""
    claimed = result.claimed
    held = Delivery.objects.filter(id=claimed.id).held(claim_number=claimed.claim_number)
    if not held.select_for_update(no_key=True).exists():
        raise ClaimLostError(frozenset({claimed.id}))


def finish(results: Sequence[TranslationResult]) -> None:
    """Store the final states in the caller's transaction, or raise ClaimLostError, which must roll it back."""
    ordered = sorted(results, key=lambda result: result.claimed.id)  # one order of locks for everybody
    columns = [list(column) for column in zip(*map(_row, ordered), strict=True)]
    finished = {row[0] for row in db.run(_FINISH, columns)}
    lost = {result.claimed.id for result in results} - finished
    if lost:
        raise ClaimLostError(frozenset(lost))


def _row(result: TranslationResult) -> tuple[object, ...]:
    routing = result.routing
    return (
        result.claimed.id,
        result.claimed.claim_number,
        result.state.value,
        result.reason,
        result.error,
        result.is_sanitised,
        routing is not None,
        routing.action if routing else "",
        routing.installation_id if routing else None,
        routing.repository_id if routing else None,
    )


LONGEST_WAIT_S = 12.0
LONGEST_CHECK_S = 2.0  # a database that takes longer is considered away
BRIEF_LOCK_WAIT_S = 0.1  # for those of a batch that lost a lock: nearly all of them need another one
MOST_FACTS = 20_000  # of one transaction, which takes about two seconds and holds its locks for as long
logger = logging.getLogger(__name__)


def process(batch: Sequence[Claimed]) -> None:
    """Process every claimed delivery; raises a database Error if it is away, without spending attempts."""
    try:
        _process_in_time(batch)
    except Error as error:
        if not is_infrastructure_error(error):
            raise
        connection.close()
        if not (may_be_provoked(error) and _isolate(batch, error)):
            claims.release(batch)
            raise


def _isolate(batch: Sequence[Claimed], error: Error) -> bool:
    """Have each delivery claimed alone next if a new connection works: one of them may have caused the error.

    One that was alone spends an attempt, or it would come back forever. False if the database is really away.
    """
    code = sqlstate_of(error)
    logger.warning("environment_failed", extra={"deliveries": [claimed.id for claimed in batch], "sqlstate": code})
    try:
        with db.limit(seconds=LONGEST_CHECK_S), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if len(batch) == 1:
            retry_later(batch[0], reason="recording_failed", error=describe(error))
        else:
            _expire_leases(batch)
    except Error:
        connection.close()
        return False
    return True


def _process_in_time(batch: Sequence[Claimed]) -> None:
    backend_pid = connection.connection.info.backend_pid if connection.connection else None
    try:
        results = [translate_delivery(claimed) for claimed in batch]
        _retry_failed(results)
        for group in _grouped(result for result in results if result.state != Delivery.State.FAILED):
            _apply_or_split(group)
    except (SoftTimeLimitExceeded, db.DatabaseTimeoutError):
        _handle_timeout(batch, backend_pid=backend_pid)


def _grouped(results: Iterable[TranslationResult]) -> Iterator[list[TranslationResult]]:
    """Yield the results of one transaction each: at most MOST_FACTS facts, or a single result."""
    group: list[TranslationResult] = []
    facts = 0
    for result in results:
        if group and facts + len(result.facts) > MOST_FACTS:
            yield group
            group, facts = [], 0
        group.append(result)
        facts += len(result.facts)
    if group:
        yield group


def _apply_or_split(results: Sequence[TranslationResult], *, lock_wait_s: float | None = None) -> None:
    """Apply results together; if that fails, one by one, so that an error only affects its own delivery.

    If a lock was not available, the delivery that needs it is released, and the others are applied.
    """
    try:
        _apply(results, lock_wait_s=lock_wait_s)
    except (SoftTimeLimitExceeded, db.DatabaseTimeoutError):
        raise
    except Exception as error:
        if is_infrastructure_error(error):
            raise
        is_locked = lost_a_lock(error)
        if len(results) > 1:
            logger.warning("batch_failed", extra={"deliveries": len(results), "error": type(error).__name__})
            for result in results:
                _apply_or_split([result], lock_wait_s=BRIEF_LOCK_WAIT_S if is_locked else None)
        elif is_locked:
            _release_locked([results[0].claimed])
        else:
            _settle_unrecorded(results[0], error)


def _release_locked(batch: Sequence[Claimed]) -> None:
    """Release deliveries whose rows are locked by others, without spending an attempt."""
    logger.warning("rows_are_locked", extra={"deliveries": [claimed.id for claimed in batch]})
    claims.release(batch)


def _apply(results: Sequence[TranslationResult], *, lock_wait_s: float | None) -> None:
    """Record the facts and finish the deliveries in one transaction, except those that another worker claimed.

    A delivery of very many facts is alone here, and records most of them in transactions before that: they merge in
    any order and any number of times, so that an attempt which ends in between has done no harm, and a part.
    """
    remaining = list(results)
    while remaining:
        try:
            failpoint("process.before_transaction")
            *early, last = _parts(remaining)
            for part in early:
                with _bounded_transaction(lock_wait_s):
                    record(part)
                    hold(remaining[0])
            with _bounded_transaction(lock_wait_s):
                record(last)
                failpoint("process.before_finish")
                finish(remaining)
                failpoint("process.before_commit")
            failpoint("process.after_commit")
        except ClaimLostError as lost:
            LOST_CLAIMS.inc(len(lost.ids))
            logger.warning("claims_lost", extra={"deliveries": sorted(lost.ids)})
            remaining = [result for result in remaining if result.claimed.id not in lost.ids]
        else:
            _report(remaining)
            return


@contextmanager
def _bounded_transaction(lock_wait_s: float | None) -> Iterator[None]:
    """Open a transaction with a limit for the database and for each lock."""
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        if lock_wait_s is not None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{lock_wait_s * 1000:.0f}ms"])
        yield


def _parts(results: Sequence[TranslationResult]) -> list[list[Evidence]]:
    """Return the facts of each transaction: one, unless a single delivery has too many facts."""
    if len(results) > 1 or len(results[0].facts) <= MOST_FACTS:
        return [[_evidence(result, result.facts) for result in results if result.facts]]
    [result] = results
    starts = range(0, len(result.facts), MOST_FACTS)
    return [[_evidence(result, result.facts[start : start + MOST_FACTS])] for start in starts]


def _evidence(result: TranslationResult, facts: tuple[Fact, ...]) -> Evidence:
    return Evidence(source=Source(kind="delivery", key=str(result.claimed.id)), facts=facts)


def _report(results: Iterable[TranslationResult]) -> None:
    """Log each outcome once, with all deliveries that have it."""
    alike: dict[tuple[str, str], list[Claimed]] = defaultdict(list)
    for result in results:
        alike[result.state.value, result.reason].append(result.claimed)
    for (state, reason), finished in alike.items():
        RESULTS.labels(state, reason).inc(len(finished))
        about = {"deliveries": [claimed.id for claimed in finished], "state": state, "reason": reason}
        logger.info("deliveries_finished", extra=about | {"github_events": Counter(one.event for one in finished)})


def _retry_failed(results: Iterable[TranslationResult]) -> None:
    for result in results:
        if result.state == Delivery.State.FAILED:
            retry_later(result.claimed, reason=result.reason, error=result.error)


def _settle_unrecorded(result: TranslationResult, error: Exception) -> None:
    """Quarantine or retry a delivery whose facts could not be recorded."""
    logger.error(
        "recording_failed",
        extra={
            "delivery": result.claimed.id,
            "github_event": result.claimed.event,
            "error": type(error).__name__,
            "sqlstate": sqlstate_of(error),
            "where": place_of(error),
        },
    )
    if is_data_error(error):
        _settle(result.claimed, Delivery.State.QUARANTINED, reason="unrecordable", error=describe(error))
    else:
        retry_later(result.claimed, reason="recording_failed", error=describe(error))


def retry_later(claimed: Claimed, *, reason: str, error: str) -> None:
    """Spend an attempt: the delivery is due again later, or dead after the last attempt."""
    step = decide(attempts=claimed.attempts + 1, chance=random.random())  # noqa: S311  spreads waits, guards nothing
    if isinstance(step, GiveUp):
        _settle(claimed, Delivery.State.DEAD, reason=reason, error=error)
        return
    RESULTS.labels(Delivery.State.FAILED.value, reason).inc()
    Delivery.objects.filter(id=claimed.id).fail(
        claim_number=claimed.claim_number, after=step.after, reason=reason, error=error
    )


def _settle(claimed: Claimed, state: Delivery.State, *, reason: str, error: str) -> None:
    RESULTS.labels(state.value, reason).inc()
    Delivery.objects.filter(id=claimed.id).settle(state, claim_number=claimed.claim_number, reason=reason, error=error)


def _handle_timeout(batch: Sequence[Claimed], *, backend_pid: int | None) -> None:
    """Have each delivery of a batch claimed alone after a timeout; a delivery alone spends an attempt.

    Unless the time went by in waiting for a lock, which is nobody's fault.
    """
    connection.close()  # whatever it was in the middle of
    if _is_waiting_for_a_lock(backend_pid):
        _release_locked(batch)
    elif len(batch) == 1:
        retry_later(batch[0], reason="timed_out", error="")
    else:
        logger.warning("batch_timed_out", extra={"deliveries": [claimed.id for claimed in batch]})
        _expire_leases(batch)


def _is_waiting_for_a_lock(backend_pid: int | None) -> bool:
    """Return whether the server process of a closed connection still waits for a lock."""
    with db.limit(seconds=LONGEST_CHECK_S), connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [backend_pid])
        return bool(cursor.fetchone()[0])


def _expire_leases(batch: Iterable[Claimed]) -> None:
    for claimed in batch:
        Delivery.objects.filter(id=claimed.id).expire_lease(claim_number=claimed.claim_number)


BUDGET_S = 8.0  # then other tasks and figures run
SLOW_BUDGET_S = 2.0  # each may need nearly all of a task's time


def drain(ids: Sequence[int], *, task_id: str, is_redelivered: bool) -> int:
    """Process the given deliveries and others that are due; wake another worker if more are; return the count."""
    claims.release_leftovers()
    started_s = time.monotonic()
    claimed_count = 0
    named = ids
    while True:
        with _claiming(task_id):
            batch = claims.claim_batch(named, task_id=task_id)
        if batch:
            failpoint("claim.after_commit")
        named = ()
        process(batch)
        claimed_count += len(batch)
        if time.monotonic() - started_s > BUDGET_S:
            wakeups.enqueue_next_batch()  # a suspect may need more than what is left of this task's time
            return claimed_count
        with _claiming(task_id):
            suspect = claims.claim_suspect(task_id=task_id, is_redelivered=is_redelivered)
        if suspect is not None:
            failpoint("suspect.after_commit")
            _process_suspect(suspect)
            claimed_count += 1
        elif not claims.is_full(batch):
            return claimed_count


def drain_slow(*, task_id: str) -> int:
    """Process due slow deliveries one at a time; wake another worker if more may be due; return the count."""
    claims.release_leftovers()
    started_s = time.monotonic()
    claimed_count = 0
    while time.monotonic() - started_s < SLOW_BUDGET_S:
        with _claiming(task_id):
            slow = claims.claim_slow(task_id=task_id)
        if slow is None:
            return claimed_count
        process([slow])
        claimed_count += 1
    wakeups.enqueue_slow_delivery()
    return claimed_count


@contextmanager
def _claiming(task_id: str) -> Iterator[None]:
    """Release a claim whose answer was lost, and wake another worker."""
    try:
        yield
    except Error:
        connection.close()
        if claims.release_unanswered(task_id):
            wakeups.enqueue_next_batch()
        raise


def _process_suspect(suspect: claims.Claimed) -> None:
    """Process a delivery whose last worker died, unless it crashed too many workers."""
    if suspect.state == Delivery.State.RUNNING:
        process([suspect])
        return
    RESULTS.labels(Delivery.State.DEAD.value, "crashed").inc()
    logger.error("delivery_crashes_its_workers", extra={"delivery": suspect.id, "github_event": suspect.event})
