"""The migration of durable work to jobs, and back, with the rows that are there."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from apps.integrations.models import Backfill, DeliveryLogScan, Drift, RepositorySync, SyncLog
from tests.fake_github.using import ACME, API
from tests.integrations.backfill.installed import MONDAY, backfill, install, reach, verification

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]
BEFORE = "0012"


@pytest.fixture
def migrated_back() -> Iterator[None]:
    """The tables as they were before there were jobs, with work in each; afterwards as they are now."""
    install()
    repository = reach()
    backfill(repository, installation_id=ACME, state="done", items=30, page_size=12, since=MONDAY)
    run = SyncLog.objects.create(sync_id="nightly:2026-03-02", cause="nightly", status="running", is_fanned_out=True)
    row = verification(run, API, installation_id=ACME, reason="reading", differs=["issues"], probed_at=MONDAY)
    Drift.objects.create(repository_sync=row, stream="issues", missing=2)
    backfill(repository, installation_id=ACME, stream="issues", cursor="further", reason="spent", sync=row)
    DeliveryLogScan.objects.create(kind="scan_delivery_log", key="22", priority=1, app_id=22, mark=MONDAY)
    call_command("migrate", "integrations", BEFORE, verbosity=0)
    yield
    call_command("migrate", "integrations", verbosity=0)


def rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_work_of_before_goes_on_after_the_way_back_and_forth(migrated_back: None) -> None:
    assert rows("SELECT stream, state, items, cursor, reason FROM integrations_backfill ORDER BY stream") == [
        ("issues", "waiting", 0, "further", "spent"),
        ("pull_requests", "done", 30, "", ""),
    ]
    assert rows("SELECT state, differs FROM integrations_repositorysync") == [("walking", ["issues"])]
    assert rows("SELECT app_id, mark FROM integrations_deliverysweep") == [(22, MONDAY)]
    call_command("migrate", "integrations", verbosity=0)
    read = Backfill.objects.get(stream="pull_requests")
    assert (read.kind, read.key, read.priority) == ("read_stream", f"{API}/pull_requests", 2)
    assert (read.state, read.items, read.page_size, read.since, read.finished_at) == ("done", 30, 12, MONDAY, MONDAY)
    row = RepositorySync.objects.get()
    assert (row.state, row.reason, row.differs, row.installation_id) == ("waiting", "reading", ["issues"], ACME)
    assert (row.key, Drift.objects.get().repository_sync) == (f"{row.sync_id}/{API}", row)
    waiting = Backfill.objects.get(stream="issues")
    assert (waiting.state, waiting.cursor, waiting.reason, waiting.sync) == ("waiting", "further", "spent", row)
    assert DeliveryLogScan.objects.get().mark == MONDAY
    assert backfill(read.repository, stream="commits").pk > max(read.pk, row.pk, waiting.pk)
