"""Bringing back what was missed, one by one: read from GitHub's log into the inbox, or asked for at the door.

`SWEEP_REDELIVERS` says which way comes first; the other is tried where that one fails for good. An attempt is spent
before it is made, so that one that kills its workers is in no other's way.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from apps.common.failpoints import failpoint
from apps.github.responses import ResponseKind
from apps.integrations.delivery_log.entries import NotRecoverableError, address_of, letter_of
from apps.integrations.delivery_log.scan_run import ScanRun
from apps.integrations.models import MissedDelivery
from apps.integrations.models.delivery_log import MissedDeliveryQuerySet
from apps.integrations.reader import RequestFailedError, storable
from apps.webhooks import intake
from apps.webhooks.models import Delivery

FETCH_PAUSES = [timedelta(minutes=minutes) for minutes in (1, 4, 15, 60, 180, 360, 720, 1440)]
ASK_PAUSES = [timedelta(minutes=minutes) for minutes in (2, 10, 60)]
"""It comes within seconds, or the door could not be reached once more."""
MOST_UNDER_WAY = 100
"""So many are asked for and not here yet at the most: a door that is still shut is not stormed."""
MOST_SILENT = 3
"""So many in a row without an answer are not the fault of single deliveries."""
BATCH = 100
FINAL = {ResponseKind.GONE, ResponseKind.REJECTED}
"""GitHub's last word on one delivery; what it forbids, it forbids for all."""
State, Road = MissedDelivery.State, MissedDelivery.Road
logger = logging.getLogger(__name__)


def bring_back(scan: ScanRun) -> None:
    """Bring back what is due, until the turn is over. RequestFailedError where GitHub says no to all of it."""
    silent = 0
    while not scan.is_over:
        batch = list(_due()[:BATCH])
        if not batch:
            return
        silent = _bring_back(batch, scan=scan, silent=silent)


def _bring_back(batch: Sequence[MissedDelivery], *, scan: ScanRun, silent: int) -> int:
    for row in batch:
        if scan.is_over or (is_asked_for(row) and not inbox_has_room()):
            break
        try:
            _try(row, scan=scan)
        except RequestFailedError as refusal:
            silent += 1
            if refusal.answer.kind is not ResponseKind.TRANSIENT or silent >= MOST_SILENT:
                raise
        else:
            silent = 0
    return silent


def _due() -> MissedDeliveryQuerySet:
    due = MissedDelivery.objects.due()
    return due if inbox_has_room() else due.filter(is_other_way=settings.SWEEP_REDELIVERS)


def is_asked_for(row: MissedDelivery) -> bool:
    """Whether GitHub is to deliver it again, rather than that we read it."""
    return bool(settings.SWEEP_REDELIVERS) != row.is_other_way


def inbox_has_room() -> bool:
    """Whether more may be asked for: what was, is here by now, or had the time to be."""
    return MissedDelivery.objects.filter(state=State.ASKED, not_before__gt=Now()).count() < MOST_UNDER_WAY


def _try(row: MissedDelivery, *, scan: ScanRun) -> None:
    """Bring back one, if nobody else does; RequestFailedError where GitHub does not say what it is about."""
    pauses = ASK_PAUSES if is_asked_for(row) else FETCH_PAUSES
    own = MissedDelivery.objects.filter(pk=row.pk)
    if row.attempts >= len(pauses):
        _turn_away(row, reason="not_delivered" if is_asked_for(row) else row.reason or "crashed", words=row.error)
        return
    if not own.begin(attempts=row.attempts, again_after=pauses[row.attempts]):
        return
    try:
        if is_asked_for(row):
            _ask(row, scan=scan)
        else:
            _fetch(row, scan=scan)
    except NotRecoverableError as error:
        _turn_away(row, reason=error.reason, words=str(error))
    except RequestFailedError as refusal:
        words = storable(refusal.answer.message)
        if refusal.answer.kind in FINAL:
            _turn_away(row, reason=refusal.answer.kind.name.lower(), words=words)
            return
        if refusal.answer.kind is ResponseKind.TRANSIENT:
            own.update(reason="unanswered", error=words)
        else:
            own.take_back()
        raise


def _fetch(row: MissedDelivery, *, scan: ScanRun) -> None:
    detail = scan.get(address_of(row.log_id)).data
    letter = letter_of(detail, guid=row.guid, event=row.event, hook_id=row.hook_id)
    failpoint("scan.after_fetch")
    scan.row.hold()
    receipt = intake.receive(letter.hook, letter.content, source=Delivery.Source.API, received_at=row.delivered_at)
    failpoint("scan.after_receipt")
    road = Road.FETCHED if receipt.outcome is intake.Outcome.STORED else Road.CAME
    MissedDelivery.objects.filter(pk=row.pk).keep(delivery=receipt.id, road=road)
    logger.info("missed_delivery_fetched", extra={"delivery": receipt.key, "outcome": receipt.outcome.value})


def _ask(row: MissedDelivery, *, scan: ScanRun) -> None:
    scan.post(f"{address_of(row.log_id)}/attempts")
    failpoint("scan.after_asking")
    own = MissedDelivery.objects.filter(pk=row.pk).open()
    own.update(state=State.ASKED, asks=F("asks") + 1)
    logger.info("missed_delivery_asked_for", extra={"delivery": f"{row.hook_id}:{row.guid}"})


def _turn_away(row: MissedDelivery, *, reason: str, words: str) -> None:
    """This way does not bring it back: the other one, or none."""
    own = MissedDelivery.objects.filter(pk=row.pk)
    if not row.is_other_way:
        own.go_the_other_way(reason=reason, error=words)
        return
    own.give_up(reason=reason, error=words)
    told = {"delivery": f"{row.hook_id}:{row.guid}", "event": row.event, "reason": reason}
    logger.warning("missed_delivery_given_up", extra=told)
