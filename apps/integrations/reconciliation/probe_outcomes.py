"""What follows when GitHub did not answer, or what it said could not be kept: nothing is waited for in a worker."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error

from apps.common import db
from apps.common.db import is_database_unavailable
from apps.github.probes import MOST_AT_ONCE
from apps.integrations.models import RepositorySync
from apps.integrations.outcomes import (
    BUSY,
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
from apps.integrations.reconciliation.claims import Claimed, end, put_back
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.retry import is_data_error
from apps.webhooks.translate import describe

LONGEST_WAIT_S = 6.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Follows:
    """What follows for a batch: it waits so many seconds, or ends where `is_failure`.

    `most` is how many are asked for at once from now on.
    """

    reason: str = ""
    words: str = ""
    seconds: float = 0.0
    attempts: int | None = None
    most: int = MOST_AT_ONCE
    is_failure: bool = False


def judge(error: Exception, *, batch: Sequence[Claimed], now: float, chance: float) -> Follows:
    """What follows on what went wrong with these; an Error that blames the database is raised again."""
    progress = Progress(page_size=len(batch), attempts=max(one.attempts for one in batch))
    if isinstance(error, RequestFailedError):
        outcome = decide(error.answer, progress=progress, now=now, chance=chance)
        return _of(outcome, words=error.answer.message)
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
        return Follows(reason="not_recorded", words=words, is_failure=True)
    return Follows(words=words, most=len(batch) // 2)


def follow(follows: Follows, *, batch: Sequence[Claimed], row: RepositorySync) -> None:
    """Let the batch wait, or end it; `row` is the one whose name waits for a turn at GitHub: the others go with it."""
    with db.limit(seconds=LONGEST_WAIT_S):
        if follows.is_failure:
            end(batch, reason=follows.reason, error=storable(follows.words))
        else:
            _put_back(follows, batch=batch, row=row)
            if follows.reason in {SPENT, *FOR_ALL}:
                put_off_alike(follows, installation_id=row.installation_id)
    told = {"installation": row.installation_id, "reason": follows.reason, "is_failure": follows.is_failure}
    logger.info("repositories_not_probed", extra=told)


def _put_back(follows: Follows, *, batch: Sequence[Claimed], row: RepositorySync) -> None:
    learned: dict[str, Any] = {"attempts": follows.attempts, "page_size": follows.most}
    waiting = [one for one in batch if follows.reason != BUSY or one.id == row.pk]
    put_back(waiting, seconds=follows.seconds, reason=follows.reason, error=storable(follows.words), **learned)
    put_back([one for one in batch if one not in waiting], **learned)


def put_off_alike(follows: Follows, *, installation_id: int | None) -> None:
    """Let the others of the installation that wait to be probed wait as long."""
    others = RepositorySync.objects.filter(installation=installation_id, probed_at=None)
    others.wait_as_well(seconds=follows.seconds, reason=follows.reason)


def _of(outcome: object, *, words: str) -> Follows:
    match outcome:
        case GoOn(progress) if not progress.skips_item:
            return Follows(words=words, most=max(1, progress.page_size))
        case GoOn():
            return Follows(reason="too_much", words=words, is_failure=True, most=1)
        case Wait(seconds, reason):
            return Follows(reason=reason, seconds=seconds)
        case TryAgain(seconds, reason, progress):
            return Follows(reason=reason, words=words, seconds=seconds, attempts=progress.attempts)
        case Fail(reason):
            return Follows(reason=reason, words=words, is_failure=True)
    return Follows(reason="gone", words=words, is_failure=True)
