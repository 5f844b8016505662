"""Doing what an outcome says: what becomes of a walk that did not get its page."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import connection

from apps import watchdog
from apps.integrations.backfill.claiming import Claimed, LostClaim
from apps.integrations.backfill.keeping import learned
from apps.integrations.backfill.outcomes import BUSY, FOR_ALL, SPENT, Fail, GoOn, Settled, StartOver, TryAgain, Wait
from apps.integrations.backfill.walking import Reader
from apps.integrations.backfill.words import storable
from apps.integrations.models import Backfill

LONGEST_WAIT_S = 6.0
logger = logging.getLogger(__name__)

# What GitHub told one walk holds for others: those of the same stream ask for the same, a secondary limit
# and a refused token are for all.
_PUT_OFF_ALIKE = """
UPDATE integrations_backfill
SET not_before = statement_timestamp() + make_interval(secs => %(seconds)s), reason = %(reason)s
WHERE id IN (
    SELECT id FROM integrations_backfill
    WHERE installation_id = %(installation)s AND state = 'waiting' AND (stream = %(stream)s OR %(is_for_all)s)
      AND not_before < statement_timestamp() + make_interval(secs => %(seconds)s)
    FOR UPDATE SKIP LOCKED
)
"""


def follow(outcome: Settled, claimed: Claimed, *, reader: Reader, words: str) -> Claimed | None:
    """Do what the outcome says; the claim to go on with at once, None where it is given up. LostClaim if it is lost."""
    cost = learned(claimed.progress, reader=reader)
    with watchdog.limit(seconds=LONGEST_WAIT_S):
        match outcome:
            case GoOn(progress):
                changed = claimed.row.update(**learned(progress, reader=reader))
            case Wait(seconds, reason):
                changed = _wait(claimed, seconds=seconds, reason=reason, words=words, cost=cost)
            case TryAgain(seconds, reason, progress):
                told = {**learned(progress, reader=reader), "error": storable(words)}
                changed = claimed.row.put_off(after=timedelta(seconds=seconds), reason=reason, **told)
            case StartOver(progress):
                changed = claimed.row.put_off(
                    after=timedelta(), reason="", **learned(progress, reader=reader), **_AT_THE_TOP
                )
            case Fail(reason, is_cursor_void):
                void = {"cursor": ""} if is_cursor_void else {}
                changed = claimed.row.end(Backfill.State.FAILED, reason=reason, error=storable(words), **cost, **void)
    if not changed:
        raise LostClaim
    _tell(outcome, claimed)
    return replace(claimed, progress=outcome.progress) if isinstance(outcome, GoOn) else None


_AT_THE_TOP: dict[str, Any] = {"cursor": "", "started_at": None, "items": 0, "pages": 0, "total": None, "skipped": []}


def _wait(claimed: Claimed, *, seconds: float, reason: str, words: str, cost: dict[str, Any]) -> int:
    error = {} if reason in {"", BUSY, SPENT, *FOR_ALL} else {"error": storable(words)}
    changed = claimed.row.put_off(after=timedelta(seconds=seconds), reason=reason, **cost, **error)
    if changed and reason in {SPENT, *FOR_ALL} and not claimed.progress.steps_over:
        _put_off_alike(claimed, {"seconds": seconds, "reason": reason, "is_for_all": reason in FOR_ALL})
    return changed


def _put_off_alike(claimed: Claimed, told: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        about = {"stream": claimed.stream, "installation": claimed.installation_id}
        cursor.execute(_PUT_OFF_ALIKE, told | about)


def _tell(outcome: Settled, claimed: Claimed) -> None:
    told = {"backfill": claimed.id, "outcome": type(outcome).__name__, "reason": getattr(outcome, "reason", "")}
    level = logging.WARNING if isinstance(outcome, Fail) else logging.INFO
    logger.log(level, "backfill_page_not_kept", extra=told)
