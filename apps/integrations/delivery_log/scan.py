"""The walk through GitHub's log, newest first, down to where the last whole walk began, or to the log's end.

What is new comes on top meanwhile, and is for the next walk. What a page shows to be missing and the place behind it
are kept together, under the sweep's claim.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.coverage import cover
from apps.activity.models import Coverage
from apps.common.failpoints import failpoint
from apps.common.github_host import GitHubHost
from apps.github.responses import REFUSALS, Answer
from apps.integrations.delivery_log.entries import (
    FIRST_PAGE,
    Entry,
    address_of,
    by_guid,
    hook_id_of,
    newest,
    read_entries,
)
from apps.integrations.delivery_log.scan_run import ScanRun
from apps.integrations.models import MissedDelivery
from apps.integrations.models.delivery_log import MissedDeliveryQuerySet
from apps.integrations.reader import RequestFailedError
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import Unrouted, route

KEPT_FOR = timedelta(days=90)
State = MissedDelivery.State


def note_missing(entries: Iterable[Entry], *, hook_id: int) -> int:
    """Give a row to whatever is not in the inbox under this hook; how many such there were.

    Whatever GitHub says that we answered: what is here is here in whichever state, and what is not is missing, also
    where a backup was restored. Call it under the sweep's claim: nobody else notes meanwhile.
    """
    found = by_guid(entries)
    here = Delivery.objects.filter(hook_id=hook_id, guid__in=found).values_list("guid", flat=True)
    missing = {guid: attempts for guid, attempts in found.items() if guid not in set(here)}
    known = {row.guid: row for row in MissedDelivery.objects.filter(hook_id=hook_id, guid__in=missing)}
    MissedDelivery.objects.bulk_create(
        _row(attempts, hook_id=hook_id) for guid, attempts in missing.items() if guid not in known
    )
    _learn_of_attempts(missing, known=known)
    return len(missing)


def prune() -> int:
    """Forget what was kept or given up long ago; how many."""
    ended = MissedDelivery.objects.exclude(state__in=MissedDelivery.OPEN)
    return ended.filter(noted_at__lt=Now() - KEPT_FOR).delete()[0]


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


def _learn_of_attempts(missing: Mapping[UUID, Sequence[Entry]], *, known: Mapping[UUID, MissedDelivery]) -> None:
    """Older attempts tell when it was first tried. One made since it was given up is a reason to try again."""
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
                row.state, row.attempts, row.is_other_way = State.WAITING, 0, False
        row.delivered_at = min(row.delivered_at, first_at)
        changed.append(row)
    columns = ["log_id", "status_code", "delivered_at", "state", "attempts", "is_other_way"]
    MissedDelivery.objects.bulk_update(changed, columns)


PERIOD = timedelta(minutes=15)
MARGIN = timedelta(hours=1)
"""So much later than what it tells of is a delivery in GitHub's log at the latest, we take it."""
KEPT, KEPT_BY_ENTERPRISE_SERVER = timedelta(days=3), timedelta(days=7)
MOST_ASKED_FOR_THE_HOOK = 3
MOST_RESTARTS = 3
MOST_PAGES_WITHOUT_NEWS = 3
"""So many pages in a row that hold only entries of earlier ones, or none, are taken for a log without an end."""
logger = logging.getLogger(__name__)


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
    """Whether it is the cursor that GitHub refused: the log is walked from its top then."""
    if not scan.row.cursor or answer.kind not in REFUSALS:
        return False
    logger.info("delivery_log_begins_again", extra={"words": answer.message})
    restarts = scan.row.restarts + 1
    scan.row.hold(cursor="", restarts=restarts % MOST_RESTARTS)
    return restarts < MOST_RESTARTS


def _read_page(scan: ScanRun) -> tuple[bool, set[int]]:
    """Keep what a page shows; return whether it was the last one that had to be read, and the ids of its entries."""
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
            note_missing(entries, hook_id=scan.row.hook_id)
        is_whole = answer.next_path is None or _is_behind_the_mark(scan, entries)
        if is_whole:
            _finish(scan, as_of=as_of)
        failpoint("scan.before_commit")
    return is_whole, {entry.log_id for entry in entries}


def _oldest(reached_at: datetime | None, entries: Sequence[Entry]) -> datetime | None:
    times = [entry.delivered_at for entry in entries]
    return min(times if reached_at is None else [reached_at, *times], default=None)


def _begin(scan: ScanRun, entries: Sequence[Entry], *, as_of: datetime) -> None:
    hook_id = _learn_hook(scan, entries)
    scan.row.hold(began_at=as_of, reached_at=None, items=0, hook_id=hook_id, started_at=timezone.now())


def _learn_hook(scan: ScanRun, entries: Sequence[Entry]) -> int | None:
    """The App's own hook, which the list does not name: each walk asks, as a hook may be made anew.

    Of the same event a delivery to another hook says something else, and may be here while ours is not. So nothing is
    judged before the own one is known; a log without entries leaves nothing to be judged.
    """
    for entry in entries[:MOST_ASKED_FOR_THE_HOOK]:
        try:
            told = hook_id_of(scan.get(address_of(entry.log_id)).data)
        except RequestFailedError as refusal:
            if refusal.answer.kind not in REFUSALS:
                raise
            continue  # this one GitHub has no more
        if told is not None:
            return told
    if entries and scan.row.hook_id is None:
        raise UnusablePayloadError("hook_unknown", "GitHub does not tell to which hook it delivered")
    return scan.row.hook_id


def _is_behind_the_mark(scan: ScanRun, entries: Sequence[Entry]) -> bool:
    """Whether nothing on the page is newer than the mark: a single old one among new ones says nothing."""
    mark = scan.row.mark
    return mark is not None and all(entry.delivered_at <= mark for entry in entries)


def _finish(scan: ScanRun, *, as_of: datetime) -> None:
    """The log was walked whole: the mark moves, and a hole is told where the log no longer reached down to it."""
    row = scan.row
    now = timezone.now()
    until = (row.began_at or as_of) - MARGIN
    mark = until if row.mark is None else max(until, row.mark)
    scan.row.hold(
        **_hole(scan, as_of=as_of),
        mark=mark,
        cursor="",
        restarts=0,
        read_at=now,
        read_due_at=(row.started_at or now) + PERIOD,
    )
    logger.info("delivery_log_read", extra={"seen": row.items, "mark": mark.isoformat()})


def _hole(scan: ScanRun, *, as_of: datetime) -> dict[str, datetime]:
    """From where on the log was there: what is covered begins anew after a hole, and before the first walk."""
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
    """For how long GitHub keeps what it delivered."""
    return KEPT_BY_ENTERPRISE_SERVER if GitHubHost(settings.GITHUB_API_URL).server else KEPT


def cover_what_is_here(scan: ScanRun) -> None:
    """Cover as much as may be up to the mark; what is left of it, once what stops it is here."""
    row = scan.row
    if row.covered_until is None or row.mark is None:
        return
    with transaction.atomic():
        scan.row.hold()
        scan.row.hold(covered_until=_cover(row.covered_until, row.mark))


def _cover(from_at: datetime, to_at: datetime) -> datetime:
    """Cover between the two what may be; up to where."""
    for missed in _in_the_way(from_at, to_at):
        until = min(missed.delivered_at - MARGIN, to_at)
        _tell(from_at, until)
        from_at = max(from_at, until)
        if missed.state != MissedDelivery.State.GIVEN_UP:
            return from_at
        from_at = max(from_at, missed.delivered_at)
    _tell(from_at, to_at)
    return max(from_at, to_at)


def _tell(from_at: datetime, to_at: datetime) -> None:
    if from_at < to_at:
        cover(Coverage.DELIVERIES, repository_id=None, from_at=from_at, to_at=to_at)


def _in_the_way(from_at: datetime, to_at: datetime) -> MissedDeliveryQuerySet:
    """What is not here and could take effect, in the order of its delivery."""
    around = MissedDelivery.objects.filter(delivered_at__gt=from_at, delivered_at__lt=to_at + MARGIN, has_effect=True)
    return around.exclude(state=MissedDelivery.State.KEPT).order_by("delivered_at")
