"""Which deliveries of a page are not in the inbox: each has a row from then on, until it is there or given up."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now

from apps.integrations.models import MissedDelivery
from apps.integrations.sweep.log import Entry, by_guid, newest
from apps.webhooks.models import Delivery
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
