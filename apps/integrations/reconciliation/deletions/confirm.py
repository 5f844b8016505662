"""Confirming suspects: GitHub is asked for each by itself, and what it has no more is marked as deleted."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.activity.comparison import Entity
from apps.activity.facts import evidence
from apps.activity.record import entity_key, record
from apps.common import db
from apps.integrations.drift import add, find
from apps.integrations.models import DriftedEntity, StreamCount
from apps.integrations.reconciliation.deletions.lookup import StreamLookup
from apps.integrations.reconciliation.provenance import source_of
from apps.integrations.streams.stream import Deletable

MOST_AT_ONCE = 10
LONGEST_WAIT_S = 6.0


def confirm_some(count: StreamCount, of: Deletable, *, lookup: StreamLookup, deadline_s: float) -> None:
    """Ask for the next suspects, one by one, and mark those as deleted that are gone; at least one of them.

    Only if GitHub still shows the repository afterwards. Marks and progress are kept in one transaction.
    """
    suspects: list[int] = count.place["suspects"]
    asked, gone = list[int](), list[int]()
    for key, row in _rows(of, suspects[:MOST_AT_ONCE], repository_id=lookup.repository_id):
        asked.append(key)
        if row is not None and lookup.is_gone(of, row):
            gone.append(row.pk)
        if time.monotonic() >= deadline_s:
            break
    at = lookup.confirm_repository() if gone else None
    then = {**count.place, "suspects": suspects[len(asked) :]}
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        if at is not None:
            _mark(count, of, gone, at=at)
        StreamCount.objects.filter(pk=count.pk).update(place=then)
    count.place = then


def _rows(of: Deletable, keys: Sequence[int], *, repository_id: int) -> list[tuple[int, Any]]:
    """Each key with its row, None where a webhook deleted it meanwhile."""
    found = of.here(repository_id).filter(**{f"{of.key}__in": keys})
    by_key = {getattr(row, of.key): row for row in found}
    return [(key, by_key.get(key)) for key in keys]


def _mark(count: StreamCount, of: Deletable, gone: Sequence[int], *, at: datetime) -> None:
    """Nobody says when it was deleted: by now. What is marked already, by a webhook, does not count again."""
    repository_id, sync_id = count.repository_sync.repository_id, count.repository_sync_id
    rows = of.here(repository_id).filter(pk__in=gone).order_by("pk").select_for_update()
    facts = [of.deleted(row, at) for row in rows]
    entities = [Entity(fact.entity, entity_key(fact)) for fact in facts]
    find(dict.fromkeys(entities, DriftedEntity.Finding.DELETED), repository_sync_id=sync_id)
    add({count.stream: {"deleted": len(facts)}}, repository_sync_id=sync_id)
    record([evidence(source_of(sync_id), facts)])
