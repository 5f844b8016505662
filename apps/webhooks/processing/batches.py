"""Carrying out claimed deliveries: each is judged by itself, then all take effect in one transaction."""

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection, transaction

from apps import watchdog
from apps.activity.facts import Evidence, Source
from apps.activity.record import record
from apps.crash_points import crash_point
from apps.database_errors import sqlstate_of
from apps.webhooks.counters import LOST_CLAIMS, VERDICTS
from apps.webhooks.errors import LostClaim
from apps.webhooks.models import Delivery
from apps.webhooks.processing import leftovers
from apps.webhooks.processing.claiming import Claimed
from apps.webhooks.processing.finishing import finish
from apps.webhooks.processing.retry import (
    GiveUp,
    blames_the_environment,
    blames_the_payload,
    decide,
    may_be_provoked,
)
from apps.webhooks.processing.verdicts import Verdict, describe, judge, place_of

LONGEST_WAIT_S = 12.0
LONGEST_KNOCK_S = 2.0  # a database that takes longer to say anything is away
logger = logging.getLogger(__name__)


def process(batch: Sequence[Claimed]) -> None:
    """Give every claimed delivery its verdict; an Error of the database if it is away: then none spends an attempt."""
    try:
        _process_in_time(batch)
    except Error as error:
        if not blames_the_environment(error):
            raise
        connection.close()
        if not (may_be_provoked(error) and _suspect(batch, error)):
            leftovers.release(batch)
            raise


def _suspect(batch: Sequence[Claimed], error: Error) -> bool:
    """Where a new connection works, one of the batch may have provoked it: each is claimed alone next.

    One that was alone spends an attempt, or it would come back for ever. False if the database is really away.
    """
    code = sqlstate_of(error)
    logger.warning("environment_failed", extra={"deliveries": [claimed.id for claimed in batch], "sqlstate": code})
    try:
        with watchdog.limit(seconds=LONGEST_KNOCK_S), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if len(batch) == 1:
            put_off(batch[0], reason="recording_failed", error=describe(error))
        else:
            _lapse(batch)
    except Error:
        connection.close()
        return False
    return True


def _process_in_time(batch: Sequence[Claimed]) -> None:
    try:
        verdicts = [judge(claimed) for claimed in batch]
        _put_off_the_failed(verdicts)
        _conclude([verdict for verdict in verdicts if verdict.state != Delivery.State.FAILED])
    except (SoftTimeLimitExceeded, watchdog.TimeIsUp):
        _run_out_of_time(batch)


def _conclude(verdicts: Sequence[Verdict]) -> None:
    """Take effect together; if that fails, one by one, so that the one at fault bears it alone."""
    if not verdicts:
        return
    try:
        _take_effect(verdicts)
    except (SoftTimeLimitExceeded, watchdog.TimeIsUp):
        raise
    except Exception as error:
        if blames_the_environment(error):
            raise
        if len(verdicts) == 1:
            _bear(verdicts[0], error)
            return
        logger.warning("batch_failed", extra={"deliveries": len(verdicts), "error": type(error).__name__})
        for verdict in verdicts:
            _conclude([verdict])


def _take_effect(verdicts: Sequence[Verdict]) -> None:
    """Record the facts and finish the deliveries in one transaction, without those another worker took over."""
    remaining = list(verdicts)
    while remaining:
        try:
            crash_point("process.before_transaction")
            with watchdog.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
                record([_evidence(verdict) for verdict in remaining if verdict.facts])
                crash_point("process.before_finish")
                finish(remaining)
                crash_point("process.before_commit")
            crash_point("process.after_commit")
        except LostClaim as lost:
            LOST_CLAIMS.inc(len(lost.ids))
            logger.warning("claims_lost", extra={"deliveries": sorted(lost.ids)})
            remaining = [verdict for verdict in remaining if verdict.claimed.id not in lost.ids]
        else:
            _report(remaining)
            return


def _evidence(verdict: Verdict) -> Evidence:
    return Evidence(source=Source(kind="delivery", key=str(verdict.claimed.id)), facts=verdict.facts)


def _report(verdicts: Iterable[Verdict]) -> None:
    """Each outcome once, with all deliveries that came to it."""
    alike: dict[tuple[str, str], list[Claimed]] = defaultdict(list)
    for verdict in verdicts:
        alike[verdict.state.value, verdict.reason].append(verdict.claimed)
    for (state, reason), finished in alike.items():
        VERDICTS.labels(state, reason).inc(len(finished))
        told = {"deliveries": [claimed.id for claimed in finished], "state": state, "reason": reason}
        logger.info("deliveries_finished", extra=told | {"github_events": Counter(one.event for one in finished)})


def _put_off_the_failed(verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        if verdict.state == Delivery.State.FAILED:
            put_off(verdict.claimed, reason=verdict.reason, error=verdict.error)


def _bear(verdict: Verdict, error: Exception) -> None:
    """The verdict of a delivery whose facts could not be recorded."""
    logger.error(
        "recording_failed",
        extra={
            "delivery": verdict.claimed.id,
            "github_event": verdict.claimed.event,
            "error": type(error).__name__,
            "sqlstate": sqlstate_of(error),
            "where": place_of(error),
        },
    )
    if blames_the_payload(error):
        _settle(verdict.claimed, Delivery.State.QUARANTINED, reason="unrecordable", error=describe(error))
    else:
        put_off(verdict.claimed, reason="recording_failed", error=describe(error))


def put_off(claimed: Claimed, *, reason: str, error: str) -> None:
    """Spend an attempt: the delivery is due again later, or dead if that was the last."""
    step = decide(attempts=claimed.attempts + 1, chance=random.random())  # noqa: S311  spreads waits, guards nothing
    if isinstance(step, GiveUp):
        _settle(claimed, Delivery.State.DEAD, reason=reason, error=error)
        return
    VERDICTS.labels(Delivery.State.FAILED.value, reason).inc()
    Delivery.objects.filter(id=claimed.id).fail(
        claim_number=claimed.claim_number, after=step.after, reason=reason, error=error
    )


def _settle(claimed: Claimed, state: Delivery.State, *, reason: str, error: str) -> None:
    VERDICTS.labels(state.value, reason).inc()
    Delivery.objects.filter(id=claimed.id).settle(state, claim_number=claimed.claim_number, reason=reason, error=error)


def _run_out_of_time(batch: Sequence[Claimed]) -> None:
    """Nobody knows which of many took so long: each is claimed alone next. One alone took too long itself."""
    connection.close()  # whatever it was in the middle of
    if len(batch) == 1:
        put_off(batch[0], reason="timed_out", error="")
        return
    logger.warning("batch_timed_out", extra={"deliveries": [claimed.id for claimed in batch]})
    _lapse(batch)


def _lapse(batch: Iterable[Claimed]) -> None:
    for claimed in batch:
        Delivery.objects.filter(id=claimed.id).lapse(claim_number=claimed.claim_number)
