"""Replay of stored deliveries, for example after a bug was fixed."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from apps.activity.models import Repository
from apps.common.db import is_id
from apps.webhooks import wakeups
from apps.webhooks.models import Delivery, DeliveryQuerySet

BATCH = 500
_KEY = re.compile(r"(?:(?P<hook_id>[0-9]{1,18}):)?(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter of deliveries; all parts that are set must match."""

    key: str | None = None
    event: str | None = None
    action: str | None = None
    state: str | None = None
    reason: str | None = None
    error: str | None = None
    installation_id: int | None = None
    repository_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


def find(wanted: Filter) -> DeliveryQuerySet:
    """Return the matching deliveries that can be replayed: not running, and with a body."""
    return matching(wanted).replayable()


def matching(wanted: Filter) -> DeliveryQuerySet:
    """Return the matching deliveries. ValueError for a key that is none."""
    conditions = Q()
    for name in ("event", "action", "state", "reason", "error", "installation_id", "repository_id"):
        value = getattr(wanted, name)
        if value is not None:
            conditions &= Q(**{name: value})
    if wanted.key is not None:
        conditions &= _required_key(wanted.key)
    if wanted.since is not None:
        conditions &= Q(received_at__gte=wanted.since)
    if wanted.until is not None:
        conditions &= Q(received_at__lt=wanted.until)
    return Delivery.objects.filter(conditions)


def find_repository_id(name: str) -> int:
    """Return the id of a repository given by id or OWNER/REPO; ValueError for an unknown name."""
    if is_id(name):  # also one that is not known here: its deliveries may be
        return int(name)
    rows = Repository.objects.filter(Repository.with_id_or_name(name)).order_by("-pk")
    found = rows.values_list("pk", flat=True).first()
    if found is None:
        raise ValueError(f"There is no repository {name!r}. Use a name like owner/name, or GitHub's id.")
    return found


def replay(deliveries: DeliveryQuerySet, *, progress: Callable[[int], None] = lambda _: None) -> int:
    """Make deliveries due again, after all live ones, and wake workers; return how many."""
    total = 0
    for ids in _slices(deliveries.replayable()):
        total += Delivery.objects.filter(id__in=ids).replay()
        wakeups.enqueue_deliveries(ids)
        progress(total)
    return total


def _slices(deliveries: DeliveryQuerySet) -> Iterator[list[int]]:
    """Yield the ids in slices; each starts after the last, so that replayed rows do not shift them."""
    last = 0
    while ids := list(deliveries.filter(id__gt=last).order_by("id").values_list("id", flat=True)[:BATCH]):
        yield ids
        last = ids[-1]


def key_condition(key: str) -> Q | None:
    """Return the condition for a key or a GUID; None if it is neither."""
    match = _KEY.fullmatch(key.strip())
    if match is None:
        return None
    condition = Q(guid=UUID(match["guid"]))
    return condition & Q(hook_id=int(match["hook_id"])) if match["hook_id"] else condition


def _required_key(key: str) -> Q:
    condition = key_condition(key)
    if condition is None:
        raise ValueError(f"{key!r} is not a key. Use HOOK:GUID, or the GUID shown by GitHub.")
    return condition
