"""By which road what was missing came back: GitHub's log of deliveries tells of some before a walk finds the rest."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from apps.integrations.models import Drift
from apps.integrations.reconciliation.drift.streams import STREAM_OF_EVENT

SWEEP, REDELIVERY = "sweep", "redelivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A delivery that was missed and came back: its event, and whether we fetched it or GitHub sent it again."""

    event: str
    road: str


def add_roads(repository_sync_id: int, recovered: Iterable[Recovered]) -> None:
    """Count what came back of a repository before this run of it; what tells of no stream is left out.

    Each delivery once: whoever calls it keeps which were counted, in the same transaction.
    """
    counted = Counter((STREAM_OF_EVENT[each.event], each.road) for each in recovered if each.event in STREAM_OF_EVENT)
    with transaction.atomic():
        for (stream, road), count in sorted(counted.items()):
            Drift.objects.get_or_create(repository_sync_id=repository_sync_id, stream=stream)
            row = Drift.objects.select_for_update().get(repository_sync=repository_sync_id, stream=stream)
            row.roads[road] = row.roads.get(road, 0) + count
            row.save(update_fields=["roads"])
