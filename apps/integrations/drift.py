"""Drift: what a page shows, compared with our tables before it is recorded, and counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apps.activity.comparison import Entity, measure
from apps.activity.facts import Fact, Source
from apps.common import db
from apps.integrations.models import Drift, DriftedEntity, MissedDelivery
from apps.integrations.streams import STREAM_OF_ENTITY, STREAM_OF_EVENT

ON_ITS_WAY = timedelta(minutes=5)
"""Something so young may be read before its webhook arrives: if it is missing or stale, that is no drift yet."""
RECONCILIATION = "reconciliation"
"""The source of what a run itself brought, in a Drift's `recovery_sources`."""
Finding = DriftedEntity.Finding
Counts = Mapping[str, Mapping[str, int]]
"""What to add to each column of a stream's Drift, by stream."""

_SEEN_BEFORE = """
SELECT seen.entity, seen.key FROM unnest(%s::text[], %s::text[]) AS seen (entity, key)
JOIN activity_provenance AS known USING (entity, key)
WHERE known.source = %s AND known.source_key = %s
"""
_FIND = """
INSERT INTO integrations_driftedentity (repository_sync_id, stream, entity, key, finding)
SELECT %s, found.* FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS found (stream, entity, key, finding)
ORDER BY found.entity, found.key
ON CONFLICT (repository_sync_id, entity, key) DO NOTHING
RETURNING stream, finding
"""
_ADD = """
INSERT INTO integrations_drift AS kept (
    repository_sync_id, stream, checked, missing, stale, repaired, deleted, recovery_sources
)
SELECT %s, found.stream, found.checked, found.missing, found.stale, found.repaired, found.deleted,
    CASE WHEN found.missing > 0 THEN jsonb_build_object('reconciliation', found.missing) ELSE '{}' END
FROM unnest(%s::text[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[])
    AS found (stream, checked, missing, stale, repaired, deleted)
ORDER BY found.stream
ON CONFLICT (repository_sync_id, stream) DO UPDATE SET
    checked = kept.checked + excluded.checked, missing = kept.missing + excluded.missing,
    stale = kept.stale + excluded.stale, repaired = kept.repaired + excluded.repaired,
    deleted = kept.deleted + excluded.deleted,
    recovery_sources = CASE WHEN excluded.missing > 0 THEN kept.recovery_sources || jsonb_build_object('reconciliation',
        coalesce((kept.recovery_sources->>'reconciliation')::int, 0) + excluded.missing) ELSE kept.recovery_sources END
"""


def source_of(repository_sync_id: int) -> Source:
    """Return the source of what a run records for the RepositorySync of this id."""
    return Source(kind="api", key=f"sync {repository_sync_id}")


def count_drift(facts: Iterable[Fact], *, repository_sync_id: int, source: Source) -> None:
    """Add to the run's drift what the facts show, in the transaction that records them afterwards.

    An entity that this read met before, by its provenance, is not checked again; one that is off counts once in
    the run. What was off is right once the facts are recorded, so it counts as repaired.
    """
    measured = measure(facts, settled_before=timezone.now() - ON_ITS_WAY)
    counts: dict[str, Counter[str]] = {}
    for entity in measured.seen - _seen_before(measured.seen, source=source):
        counts.setdefault(STREAM_OF_ENTITY[entity.kind], Counter())["checked"] += 1
    findings = dict.fromkeys(measured.missing, Finding.MISSING) | dict.fromkeys(measured.stale, Finding.STALE)
    for stream, finding in find(findings, repository_sync_id=repository_sync_id):
        counts.setdefault(stream, Counter()).update((finding, "repaired"))
    add(counts, repository_sync_id=repository_sync_id)


def find(findings: Mapping[Entity, DriftedEntity.Finding], *, repository_sync_id: int) -> list[tuple[str, str]]:
    """Store which entities are off; return stream and finding of those that the run did not know yet."""
    if not findings:
        return []
    streams = [STREAM_OF_ENTITY[entity.kind] for entity in findings]
    kinds, keys = [entity.kind for entity in findings], [entity.key for entity in findings]
    values = [finding.value for finding in findings.values()]
    return [(stream, finding) for stream, finding in db.run(_FIND, [repository_sync_id, streams, kinds, keys, values])]


def add(counts: Counts, *, repository_sync_id: int) -> None:
    """Add to the Drift of each stream, creating it if necessary."""
    if counts:
        columns = [[counts[stream].get(name, 0) for stream in counts] for name in Drift.COUNTS]
        db.run(_ADD, [repository_sync_id, list(counts), *columns])


def _seen_before(entities: frozenset[Entity], *, source: Source) -> set[Entity]:
    if not entities:
        return set()
    kinds, keys = zip(*entities, strict=True)
    found = db.run(_SEEN_BEFORE, [list(kinds), list(keys), source.kind, source.key])
    return {Entity(kind, key) for kind, key in found}


RECOVERY_SOURCES: Mapping[str, str] = {
    MissedDelivery.RecoverySource.FETCHED: "delivery_log",
    MissedDelivery.RecoverySource.REDELIVERED: "redelivery",
}
"""A delivery that arrived by itself, late, is not counted."""


def count_recovered(syncs: Mapping[int, int]) -> None:
    """Count the deliveries that a scan recovered since these repositories were compared the last time, each once.

    `syncs` maps each repository's id to the RepositorySync in which it is counted, in the caller's transaction.
    """
    recovered = MissedDelivery.objects.filter(
        repository_id__in=list(syncs), state=MissedDelivery.State.KEPT, is_counted=False
    )
    with transaction.atomic():
        rows = list(
            recovered.order_by("pk").select_for_update().values_list("pk", "repository_id", "event", "recovery_source")
        )
        if not rows:
            return
        MissedDelivery.objects.filter(pk__in=[row[0] for row in rows]).update(is_counted=True)
        counts: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        for _, repository_id, event, source in rows:
            if repository_id is not None and event in STREAM_OF_EVENT and source in RECOVERY_SOURCES:
                counts[syncs[repository_id], STREAM_OF_EVENT[event]][RECOVERY_SOURCES[source]] += 1
        for (sync_id, stream), counted in sorted(counts.items()):
            _add(sync_id, stream, counted)


def _add(repository_sync_id: int, stream: str, counted: Mapping[str, int]) -> None:
    Drift.objects.get_or_create(repository_sync_id=repository_sync_id, stream=stream)
    row = Drift.objects.select_for_update().get(repository_sync=repository_sync_id, stream=stream)
    row.recovery_sources = dict(Counter(row.recovery_sources) + Counter(counted))
    row.save(update_fields=["recovery_sources"])
