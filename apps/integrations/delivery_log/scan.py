"""One scan of GitHub's delivery log: read it, record what is missing in the inbox, and recover that.

The log is read newest first, down to where the last whole scan began, or to its end. Entries that are added meanwhile
are left for the next scan. What a page shows to be missing and the cursor behind it are committed together, under the
scan's claim.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from apps.common.failpoints import failpoint
from apps.common.github_host import GitHubHost
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.integrations.delivery_log.entries import (
    FIRST_PAGE,
    Entry,
    NotRecoverableError,
    address_of,
    by_guid,
    hook_id_of,
    newest,
    read_delivery,
    read_entries,
)
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.integrations.models.github_delivery_log import MissedDeliveryQuerySet
from apps.integrations.reader import RequestFailedError, storable
from apps.webhooks import intake
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import Unrouted, route

PERIOD = timedelta(minutes=15)
MARGIN = timedelta(hours=1)
"""A delivery is in GitHub's log at most so much later than its event, as we assume."""
KEPT, KEPT_BY_ENTERPRISE_SERVER = timedelta(days=3), timedelta(days=7)
MOST_ASKED_FOR_THE_HOOK = 3
MOST_RESTARTS = 3
MOST_PAGES_WITHOUT_NEWS = 3
"""So many pages in a row that hold only entries of earlier ones, or none, are taken for a log without an end."""
MISSED_KEPT_FOR = timedelta(days=90)
FETCH_PAUSES = [timedelta(minutes=minutes) for minutes in (1, 4, 15, 60, 180, 360, 720, 1440)]
REDELIVERY_PAUSES = [timedelta(minutes=minutes) for minutes in (2, 10, 60)]
"""A redelivery arrives within seconds, or the receiver could not be reached once more."""
MOST_UNDER_WAY = 100
"""At most so many redeliveries are asked for and not here yet, so that a receiver that is still away is not flooded."""
MOST_UNANSWERED = 3
"""So many requests in a row without an answer are not the fault of single deliveries."""
BATCH = 100
FINAL = {ResponseKind.GONE, ResponseKind.REJECTED}
"""Final answers about one delivery; an answer that forbids one forbids all."""
State, RecoverySource = MissedDelivery.State, MissedDelivery.RecoverySource
logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class ScanRun:
    """One task's share of a scan: the job that it holds, and its access to GitHub."""

    row: DeliveryLogScan
    access: GitHubAccess
    deadline_s: float
    """Of time.monotonic: no request begins later."""
    calls: int = 0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.deadline_s

    def get(self, path: str) -> Answer:
        """Read as the App; RequestFailedError if GitHub does not answer with it."""
        return self._counted(self.access.get_as_app(path, purpose=self._purpose()))

    def post(self, path: str) -> Answer:
        """Post as the App; RequestFailedError if GitHub does not accept it."""
        return self._counted(self.access.post_as_app(path, purpose=self._purpose()))

    def _purpose(self) -> Purpose:
        return Purpose(priority=Priority.RECONCILIATION, subject=self.row.subject, continues=self.calls > 0)

    def _counted(self, answer: Answer) -> Answer:
        if answer.kind is not ResponseKind.DEFERRED:
            self.calls += 1
        if answer.kind is not ResponseKind.OK:
            raise RequestFailedError(answer)
        return answer


def read_log(scan: ScanRun) -> bool:
    """Read the log until its end or the end of the time slice; return whether it was read whole."""
    seen = set[int]()
    stuck = 0
    while not scan.is_over:
        try:
            is_whole, ids = _read_page(scan)
        except RequestFailedError as refusal:
            if not _begins_again(scan, refusal.answer):
                raise
            continue
        if is_whole:
            return True
        stuck = stuck + 1 if ids <= seen else 0
        if stuck == MOST_PAGES_WITHOUT_NEWS:
            raise UnusablePayloadError("endless_list", "the log of deliveries goes on without another delivery")
        seen |= ids
    return False


def _begins_again(scan: ScanRun, answer: Answer) -> bool:
    """Return whether GitHub refused the cursor: then the log is read from its first page again."""
    if not scan.row.cursor or answer.kind not in REFUSALS:
        return False
    logger.info("delivery_log_begins_again", extra={"words": answer.message})
    restarts = scan.row.restarts + 1
    scan.row.hold(cursor="", restarts=restarts % MOST_RESTARTS)
    return restarts < MOST_RESTARTS


def _read_page(scan: ScanRun) -> tuple[bool, set[int]]:
    """Commit what a page shows; return whether it was the last one that had to be read, and the ids of its entries."""
    path = scan.row.cursor or FIRST_PAGE
    answer = scan.get(path)
    as_of = answer.observed_at or timezone.now()
    entries = read_entries(answer.data, as_of=as_of)
    if answer.next_path == path:
        raise UnusablePayloadError("shape_mismatch", "the log of deliveries goes on where it was")
    if not scan.row.cursor:
        _begin(scan, entries, as_of=as_of)
    failpoint("scan.after_page")
    with transaction.atomic():
        scan.row.hold(
            cursor=answer.next_path or "",
            reached_at=_oldest(scan.row.reached_at, entries),
            items=scan.row.items + len(entries),
        )
        if entries and scan.row.hook_id is not None:
            record_missing(entries, hook_id=scan.row.hook_id)
        is_whole = answer.next_path is None or _is_past_the_mark(scan, entries)
        if is_whole:
            _finish(scan, as_of=as_of)
        failpoint("scan.before_commit")
    return is_whole, {entry.log_id for entry in entries}


def _oldest(reached_at: datetime | None, entries: Sequence[Entry]) -> datetime | None:
    times = [entry.delivered_at for entry in entries]
    return min(times if reached_at is None else [reached_at, *times], default=None)


def _begin(scan: ScanRun, entries: Sequence[Entry], *, as_of: datetime) -> None:
    hook_id = _find_hook(scan, entries)
    scan.row.hold(began_at=as_of, reached_at=None, items=0, hook_id=hook_id, started_at=timezone.now())


def _find_hook(scan: ScanRun, entries: Sequence[Entry]) -> int | None:
    """Return the App's own hook, which the list does not name; each scan asks, as a hook may be replaced.

    A delivery of the same event to another hook has another content, and may be here while ours is not. So nothing is
    recorded as missing before the own hook is known; a log without entries has nothing to record.
    """
    for entry in entries[:MOST_ASKED_FOR_THE_HOOK]:
        try:
            hook_id = hook_id_of(scan.get(address_of(entry.log_id)).data)
        except RequestFailedError as refusal:
            if refusal.answer.kind not in REFUSALS:
                raise
            continue  # GitHub has this one no more
        if hook_id is not None:
            return hook_id
    if entries and scan.row.hook_id is None:
        raise UnusablePayloadError("hook_unknown", "GitHub does not say to which hook it delivered")
    return scan.row.hook_id


def _is_past_the_mark(scan: ScanRun, entries: Sequence[Entry]) -> bool:
    """Return whether nothing on the page is newer than the mark: a single old entry among new ones proves nothing."""
    mark = scan.row.mark
    return mark is not None and all(entry.delivered_at <= mark for entry in entries)


def _finish(scan: ScanRun, *, as_of: datetime) -> None:
    """Move the mark, as the log was read whole, and note a gap if the log no longer reached down to it."""
    row = scan.row
    now = timezone.now()
    until = (row.began_at or as_of) - MARGIN
    mark = until if row.mark is None else max(until, row.mark)
    scan.row.hold(
        **_gap(scan, as_of=as_of),
        mark=mark,
        cursor="",
        restarts=0,
        read_at=now,
        read_due_at=(row.started_at or now) + PERIOD,
    )
    logger.info("delivery_log_read", extra={"seen": row.items, "mark": mark.isoformat()})


def _gap(scan: ScanRun, *, as_of: datetime) -> dict[str, datetime]:
    """Return the changes after a gap, and before the first scan: coverage begins anew where the log begins."""
    row = scan.row
    surely_kept_from = as_of - _kept_for() + MARGIN
    if row.mark is None:
        begins_at = row.reached_at or (row.began_at or as_of) - MARGIN
        return {"covered_until": min(begins_at, (row.began_at or as_of) - MARGIN)}
    is_down_there = row.reached_at is not None and row.reached_at <= row.mark
    if is_down_there or row.mark >= surely_kept_from:
        return {}
    bottom = min(row.reached_at or surely_kept_from, surely_kept_from)
    logger.error("delivery_log_truncated", extra={"from": row.mark.isoformat(), "to": bottom.isoformat()})
    return {
        "covered_until": bottom,
        "truncated_at": timezone.now(),
        "truncated_from": row.mark,
        "truncated_to": bottom,
    }


def _kept_for() -> timedelta:
    """Return for how long GitHub keeps its delivery log."""
    return KEPT_BY_ENTERPRISE_SERVER if GitHubHost(settings.GITHUB_API_URL).server else KEPT


def record_missing(entries: Iterable[Entry], *, hook_id: int) -> int:
    """Give a row to each delivery that is not in the inbox under this hook; return how many there were.

    Only the inbox counts, whatever its state there and whatever status GitHub shows: a delivery that was acknowledged
    is missing too after a backup was restored. Call it under the scan's claim, so that nobody records at the same time.
    """
    found = by_guid(entries)
    here = Delivery.objects.filter(hook_id=hook_id, guid__in=found).values_list("guid", flat=True)
    missing = {guid: attempts for guid, attempts in found.items() if guid not in set(here)}
    known = {row.guid: row for row in MissedDelivery.objects.filter(hook_id=hook_id, guid__in=missing)}
    MissedDelivery.objects.bulk_create(
        _row(attempts, hook_id=hook_id) for guid, attempts in missing.items() if guid not in known
    )
    _update_known(missing, known=known)
    return len(missing)


def prune() -> int:
    """Delete the rows of deliveries that were recovered or given up long ago; return how many."""
    ended = MissedDelivery.objects.exclude(state__in=MissedDelivery.OPEN)
    return ended.filter(noted_at__lt=Now() - MISSED_KEPT_FOR).delete()[0]


def _row(attempts: Sequence[Entry], *, hook_id: int) -> MissedDelivery:
    last = newest(attempts)
    return MissedDelivery(
        hook_id=hook_id,
        guid=last.guid,
        log_id=last.log_id,
        delivered_at=min(entry.delivered_at for entry in attempts),
        status_code=last.status_code,
        event=last.event,
        action=last.action,
        installation_id=last.installation_id,
        repository_id=last.repository_id,
        has_effect=route(last.event, last.action or None) is not Unrouted.LISTED,
    )


def _update_known(missing: Mapping[UUID, Sequence[Entry]], *, known: Mapping[UUID, MissedDelivery]) -> None:
    """Note earlier and later attempts at known deliveries; an attempt after one was given up makes it due again."""
    changed = []
    for guid, row in known.items():
        if row.state == State.KEPT:
            continue  # under the hook that its own headers name
        last, first_at = newest(missing[guid]), min(entry.delivered_at for entry in missing[guid])
        if last.log_id <= row.log_id and first_at >= row.delivered_at:
            continue
        if last.log_id > row.log_id:
            row.log_id, row.status_code = last.log_id, last.status_code
            if row.state == State.GIVEN_UP:
                row.state, row.attempts, row.uses_fallback = State.WAITING, 0, False
        row.delivered_at = min(row.delivered_at, first_at)
        changed.append(row)
    columns = ["log_id", "status_code", "delivered_at", "state", "attempts", "uses_fallback"]
    MissedDelivery.objects.bulk_update(changed, columns)


def recover_due(scan: ScanRun) -> None:
    """Recover the missed deliveries that are due, until the time slice is over.

    Each is read from GitHub's log into the inbox, or redelivered; `SCAN_REDELIVERS` says which comes first, and the
    other is tried if that fails for good. An attempt is spent before it is made, so that one delivery that crashes its
    workers does not block the others. RequestFailedError if GitHub refuses them all.
    """
    unanswered = 0
    while not scan.is_over:
        batch = list(_due()[:BATCH])
        if not batch:
            return
        unanswered = _recover_batch(batch, scan=scan, unanswered=unanswered)


def _recover_batch(batch: Sequence[MissedDelivery], *, scan: ScanRun, unanswered: int) -> int:
    for row in batch:
        if scan.is_over or (is_redelivered(row) and not inbox_has_room()):
            break
        try:
            _recover(row, scan=scan)
        except RequestFailedError as refusal:
            unanswered += 1
            if refusal.answer.kind is not ResponseKind.TRANSIENT or unanswered >= MOST_UNANSWERED:
                raise
        else:
            unanswered = 0
    return unanswered


def _due() -> MissedDeliveryQuerySet:
    due = MissedDelivery.objects.due()
    return due if inbox_has_room() else due.filter(uses_fallback=settings.SCAN_REDELIVERS)


def is_redelivered(row: MissedDelivery) -> bool:
    """Return whether GitHub is to deliver it again, instead of our reading it from the log."""
    return bool(settings.SCAN_REDELIVERS) != row.uses_fallback


def inbox_has_room() -> bool:
    """Return whether more redeliveries may be asked for: the earlier ones are here, or had the time to arrive."""
    return MissedDelivery.objects.filter(state=State.ASKED, not_before__gt=Now()).count() < MOST_UNDER_WAY


def _recover(row: MissedDelivery, *, scan: ScanRun) -> None:
    """Recover one delivery, unless another worker does; RequestFailedError if GitHub gives no answer about it."""
    pauses = REDELIVERY_PAUSES if is_redelivered(row) else FETCH_PAUSES
    own = MissedDelivery.objects.filter(pk=row.pk)
    if row.attempts >= len(pauses):
        reason = "not_delivered" if is_redelivered(row) else row.reason or "crashed"
        _fall_back_or_give_up(row, reason=reason, words=row.error)
        return
    if not own.begin(attempts=row.attempts, again_after=pauses[row.attempts]):
        return
    try:
        if is_redelivered(row):
            _redeliver(row, scan=scan)
        else:
            _fetch(row, scan=scan)
    except NotRecoverableError as error:
        _fall_back_or_give_up(row, reason=error.reason, words=str(error))
    except RequestFailedError as refusal:
        words = storable(refusal.answer.message)
        if refusal.answer.kind in FINAL:
            _fall_back_or_give_up(row, reason=refusal.answer.kind.name.lower(), words=words)
            return
        if refusal.answer.kind is ResponseKind.TRANSIENT:
            own.update(reason="unanswered", error=words)
        else:
            own.cancel_attempt()
        raise


def _fetch(row: MissedDelivery, *, scan: ScanRun) -> None:
    detail = scan.get(address_of(row.log_id)).data
    fetched = read_delivery(detail, guid=row.guid, event=row.event, hook_id=row.hook_id)
    failpoint("scan.after_fetch")
    scan.row.hold()
    receipt = intake.receive(fetched.hook, fetched.content, source=Delivery.Source.API, received_at=row.delivered_at)
    failpoint("scan.after_receipt")
    source = RecoverySource.FETCHED if receipt.outcome is intake.Outcome.STORED else RecoverySource.ARRIVED
    MissedDelivery.objects.filter(pk=row.pk).keep(delivery=receipt.id, recovery_source=source)
    logger.info("missed_delivery_fetched", extra={"delivery": receipt.key, "outcome": receipt.outcome.value})


def _redeliver(row: MissedDelivery, *, scan: ScanRun) -> None:
    scan.post(f"{address_of(row.log_id)}/attempts")
    failpoint("scan.after_asking")
    own = MissedDelivery.objects.filter(pk=row.pk).open()
    own.update(state=State.ASKED, asks=F("asks") + 1)
    logger.info("missed_delivery_asked_for", extra={"delivery": f"{row.hook_id}:{row.guid}"})


def _fall_back_or_give_up(row: MissedDelivery, *, reason: str, words: str) -> None:
    """Try the fallback after one way has failed for good, and give the delivery up after both."""
    own = MissedDelivery.objects.filter(pk=row.pk)
    if not row.uses_fallback:
        own.use_fallback(reason=reason, error=words)
        return
    own.give_up(reason=reason, error=words)
    facts = {"delivery": f"{row.hook_id}:{row.guid}", "event": row.event, "reason": reason}
    logger.warning("missed_delivery_given_up", extra=facts)
