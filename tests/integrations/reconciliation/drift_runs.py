"""A run of reconciliation as a test makes it: every stream of a repository is read, and its drift is compared."""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from apps.activity.models import Repository
from apps.activity.record import record
from apps.demo.organisation import Sent
from apps.integrations.models import Backfill, Drift, DriftedEntity, RepositorySync, SyncLog
from apps.integrations.reconciliation.fan_out import verify_each
from apps.integrations.streams import STREAM_NAMES, STREAMS
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME
from tests.github.translation import evidence_of
from tests.integrations.backfill.crew import Crew
from tests.integrations.backfill.installed import backfill

RUNS, TOGETHER = count(1), 20


def deliveries_about(fake: FakeGitHub, repository_id: int) -> list[Sent]:
    """Every webhook of the repository."""
    return [sent for sent in fake.world.deliveries() if sent.payload["repository"]["id"] == repository_id]


def deliver(deliveries: Iterable[Sent]) -> None:
    """Record these webhooks, some together, as workers do."""
    pieces = evidence_of(deliveries)
    for start in range(0, len(pieces), TOGETHER):
        record(pieces[start : start + TOGETHER])


def begin_sync(repository: Repository) -> RepositorySync:
    """The repository in a run of its own."""
    run = SyncLog.objects.create(sync_id=f"manual:{next(RUNS)}", cause=SyncLog.Cause.MANUAL, status="running")
    verify_each(run.pk, {repository.pk: ACME})
    RepositorySync.objects.filter(sync=run).update(reason=RepositorySync.READING)
    return RepositorySync.objects.get(sync=run)


def read_streams(
    crew: Crew, sync: RepositorySync, *, streams: Sequence[str] = STREAM_NAMES, **about: Any
) -> list[Backfill]:
    """Walk the streams for the run, each to its end."""
    return [
        crew.advance(
            backfill(sync.repository, stream=stream, sync=sync, **{"page_size": STREAMS[stream].page_size, **about})
        )
        for stream in streams
    ]


def drift_of(sync: RepositorySync, *names: str) -> dict[str, tuple[int, ...]]:
    """By stream: how many were missing and stale, or what else is named."""
    rows = Drift.objects.filter(repository_sync=sync).order_by("stream")
    return {row.stream: tuple(getattr(row, name) for name in names or ("missing", "stale")) for row in rows}


def drifted(sync: RepositorySync) -> set[tuple[str, str, str]]:
    """What was off: kind, key and how."""
    rows = DriftedEntity.objects.filter(repository_sync=sync)
    return set(rows.values_list("entity", "key", "finding"))
