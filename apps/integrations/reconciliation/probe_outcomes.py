"""What follows when GitHub did not answer, or what it said could not be kept: nothing is waited for in a worker."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error

from apps.common import db
from apps.common.db import is_database_unavailable
from apps.github.probes import MOST_AT_ONCE
from apps.integrations.outcomes import (
    FOR_ALL,
    REFUSED_S,
    SPENT,
    Fail,
    GoOn,
    Progress,
    TryAgain,
    Wait,
    decide,
    try_again,
)
from apps.integrations.reader import RequestFailedError, storable
from apps.integrations.reconciliation.claims import Claimed, end, put_back, run
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.retry import is_data_error
from apps.webhooks.translate import describe

AWAY_S = 5.0
LONGEST_WAIT_S = 6.0
logger = logging.getLogger(__name__)

# A limit is everybody's: the installation's other repositories wait with those that met it.
_PUT_OFF_ALIKE = """
UPDATE integrations_repositorysync
SET not_before = statement_timestamp() + make_interval(secs => %(seconds)s), reason = %(reason)s
WHERE id IN (
    SELECT id FROM integrations_repositorysync
    WHERE installation_id = %(installation)s AND state = 'waiting'
      AND not_before < statement_timestamp() + make_interval(secs => %(seconds)s)
    FOR UPDATE SKIP LOCKED
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follows:
    """What follows for a batch: it waits so many seconds, or ends where `is_failure`.

    `most` is how many are asked for at once from now on; `goes_on` says whether to do so at once.
    """

    reason: str = ""
    words: str = ""
    seconds: float = 0.0
    attempts: int | None = None
    most: int = MOST_AT_ONCE
    goes_on: bool = False
    is_failure: bool = False


def judge(error: Exception, *, batch: Sequence[Claimed], now: float, chance: float) -> Follows:
    """What follows on what went wrong with these; an Error that blames the database is raised again."""
    progress = Progress(page_size=len(batch), attempts=max(one.attempts for one in batch))
    if isinstance(error, RequestFailedError):
        outcome = decide(error.answer, progress=progress, now=now, chance=chance)
        return _of(outcome, words=error.answer.verdict.message)
    words = describe(error)
    if isinstance(error, SoftTimeLimitExceeded | db.DatabaseTimeoutError):
        return _of(try_again(progress, chance=chance, reason="timed_out"), words=words)
    if isinstance(error, UnusablePayloadError):
        return _of(try_again(progress, chance=chance, reason="unusable"), words=words)
    if not isinstance(error, Error):
        return Follows(reason="no_credentials", words=words, seconds=REFUSED_S)
    if is_database_unavailable(error) or not is_data_error(error):
        raise error
    if len(batch) == 1:
        return Follows(reason="not_recorded", words=words, is_failure=True, goes_on=True)
    return Follows(words=words, most=len(batch) // 2, goes_on=True)


def follow(follows: Follows, *, batch: Sequence[Claimed], installation_id: int) -> None:
    """Let the batch wait, or end it."""
    with db.limit(seconds=LONGEST_WAIT_S):
        if follows.is_failure:
            end(batch, reason=follows.reason, error=storable(follows.words))
        else:
            put_back(
                batch,
                seconds=follows.seconds,
                reason=follows.reason,
                error=storable(follows.words),
                attempts=follows.attempts,
            )
            if follows.reason in {SPENT, *FOR_ALL}:
                put_off_alike(follows, installation_id=installation_id)
    told = {"installation": installation_id, "reason": follows.reason, "is_failure": follows.is_failure}
    logger.info("repositories_not_probed", extra=told)


def put_off_alike(follows: Follows, *, installation_id: int) -> None:
    """Let the others of the installation that wait to be probed wait as long."""
    run(_PUT_OFF_ALIKE, installation=installation_id, seconds=follows.seconds, reason=follows.reason)


def _of(outcome: object, *, words: str) -> Follows:
    match outcome:
        case GoOn(progress) if not progress.skips_item:
            return Follows(words=words, most=max(1, progress.page_size), goes_on=True)
        case GoOn():
            return Follows(reason="too_much", words=words, is_failure=True, most=1, goes_on=True)
        case Wait(seconds, reason):
            return Follows(reason=reason, seconds=seconds)
        case TryAgain(seconds, reason, progress):
            return Follows(reason=reason, words=words, seconds=seconds, attempts=progress.attempts)
        case Fail(reason):
            return Follows(reason=reason, words=words, is_failure=True)
    return Follows(reason="gone", words=words, is_failure=True)
