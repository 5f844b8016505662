"""A bounded, rate-limited record of what the door refused: why, from what, how often; never the body."""

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import DatabaseError

from apps.common import db
from apps.webhooks.counters import ANSWERS
from apps.webhooks.models import Refusal

ROWS_KEPT = 1000
STORE_EVERY_S = 1.0  # a row for each reason and process, at most
QUIET_AFTER_FAILURE_S = 10.0
LONGEST_WAIT_S = 1.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One refused post."""

    status: int
    reason: str
    headers: Mapping[str, str]
    size: int | None
    body: bytes | None = field(repr=False)


class RefusalLog:
    """Decides which refusals of this process become rows; the others are counted by the next row of their reason."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._uncounted: dict[str, int] = {}
        self._next_row_s: dict[str, float] = {}
        self._quiet_until_s = 0.0

    def note(self, refused: Refused) -> None:
        """Count a refusal and store it if it is its reason's turn; never fails, never waits long."""
        ANSWERS.labels(refused.reason).inc()
        count = self._take_turn(refused.reason, now_s=time.monotonic())
        if count:
            self._store(refused, count=count)

    def _take_turn(self, reason: str, *, now_s: float) -> int:
        with self._turn:
            count = self._uncounted.get(reason, 0) + 1
            if now_s < max(self._next_row_s.get(reason, 0.0), self._quiet_until_s):
                self._uncounted[reason] = count
                return 0
            self._uncounted[reason] = 0
            self._next_row_s[reason] = now_s + STORE_EVERY_S
            return count

    def _store(self, refused: Refused, *, count: int) -> None:
        try:
            with db.limit(seconds=LONGEST_WAIT_S):
                store(refused, count=count)
        except DatabaseError:
            self._quiet_until_s = time.monotonic() + QUIET_AFTER_FAILURE_S
            ANSWERS.labels("refusal_not_stored").inc(count)
            logger.warning("refusal_not_stored")


def store(refused: Refused, *, count: int) -> None:
    """Write a row that stands for so many refusals, and drop the oldest beyond those kept."""
    row = Refusal.objects.create(
        status=refused.status,
        reason=refused.reason,
        count=count,
        headers=dict(refused.headers),
        size=refused.size,
        body_sha256=hashlib.sha256(refused.body).digest() if refused.body is not None else None,
    )
    Refusal.objects.filter(id__lte=row.pk - ROWS_KEPT).delete()


_log = RefusalLog()


def note(refused: Refused) -> None:
    """Count a refusal, and keep a sample of its reason once a second; never fails, never waits long."""
    _log.note(refused)
