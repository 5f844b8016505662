"""By which road what was missing came back: GitHub's log of deliveries tells of some before a walk finds the rest."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from django.db import transaction

from apps.integrations.drift.streams import STREAM_OF_EVENT
from apps.integrations.models import Drift, MissedDelivery

ROADS: Mapping[str, str] = {
    MissedDelivery.Road.FETCHED: "sweep",
    MissedDelivery.Road.REDELIVERED: "redelivery",
}
"""What came by itself, late, was not missed for good."""


def count_recovered(syncs: Mapping[int, int]) -> None:
    """Count what a sweep brought back of repositories since they were compared the last time: each delivery once.

    `syncs` leads from each repository's id to the RepositorySync in which it is counted, in the caller's transaction.
    """
    came = MissedDelivery.objects.filter(
        repository_id__in=list(syncs), state=MissedDelivery.State.KEPT, is_counted=False
    )
    with transaction.atomic():
        rows = list(came.order_by("pk").select_for_update().values_list("pk", "repository_id", "event", "road"))
        if not rows:
            return
        MissedDelivery.objects.filter(pk__in=[row[0] for row in rows]).update(is_counted=True)
        roads: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        for _, repository_id, event, road in rows:
            if repository_id is not None and event in STREAM_OF_EVENT and road in ROADS:
                roads[syncs[repository_id], STREAM_OF_EVENT[event]][ROADS[road]] += 1
        for (sync_id, stream), counted in sorted(roads.items()):
            _add(sync_id, stream, counted)


def _add(repository_sync_id: int, stream: str, counted: Mapping[str, int]) -> None:
    Drift.objects.get_or_create(repository_sync_id=repository_sync_id, stream=stream)
    row = Drift.objects.select_for_update().get(repository_sync=repository_sync_id, stream=stream)
    row.roads = dict(Counter(row.roads) + Counter(counted))
    row.save(update_fields=["roads"])
