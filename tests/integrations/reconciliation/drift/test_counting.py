"""Drift is what was lost, neither less nor more, and is counted once, with the page that shows it."""

import random
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.utils import timezone

from apps.activity.models import PullRequest, Repository
from apps.integrations.backfill import claimed_stream
from apps.integrations.drift import count_recovered
from apps.integrations.models import Backfill, Drift, MissedDelivery, RepositorySync
from apps.integrations.streams import STREAM_NAMES, STREAM_OF_EVENT
from apps.webhooks.registry import Unrouted, route
from tests.activity.tables import empty
from tests.fake_github.generated import Generated
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import API
from tests.integrations.backfill.installed import backfill
from tests.integrations.backfill.workers import BackfillWorkers, during_page
from tests.integrations.reconciliation.drift.true_drift import off
from tests.integrations.reconciliation.workers import (
    begin_sync,
    deliver,
    deliveries_about,
    drift_of,
    drifted,
    read_streams,
)

pytestmark = pytest.mark.django_db(transaction=True)
PULLS = ("pull_requests",)
COUNTS = ("checked", "missing", "stale", "repaired")


@pytest.mark.proof
def test_without_webhooks_everything_is_missing_and_repaired(workers: BackfillWorkers, api: Repository) -> None:
    sync = begin_sync(api)
    read_streams(workers, sync, streams=PULLS)
    [row] = Drift.objects.filter(repository_sync=sync)
    reviews = sum(kind == "review" for kind, _, _ in drifted(sync))
    assert (row.checked, row.missing, row.repaired, row.stale) == (30 + reviews, 30 + reviews, 30 + reviews, 0)
    assert row.recovery_sources == {"reconciliation": row.missing}


def test_a_backfill_outside_of_a_run_counts_no_drift(workers: BackfillWorkers, api: Repository) -> None:
    workers.advance(backfill(api))
    assert PullRequest.objects.count() == 30
    assert not Drift.objects.exists()


@pytest.mark.proof
def test_a_page_that_is_read_again_after_a_failure_counts_once(
    workers: BackfillWorkers, api: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies when the facts and the drift are written, just before the commit."""
    whole = begin_sync(api)
    read_streams(workers, whole, streams=PULLS)
    expected = drift_of(whole, *COUNTS)
    forget()
    deaths = [1]

    def die(name: str) -> None:
        if name == "backfill.before_commit" and deaths:
            deaths.pop()
            raise DatabaseError("the worker is gone")

    monkeypatch.setattr(claimed_stream, "failpoint", die)
    sync = begin_sync(api)
    row = backfill(api, sync=sync)
    while row.state != "done":
        Backfill.objects.update(not_before=timezone.now() - timedelta(hours=1))
        row = workers.advance(row)
    assert not deaths
    assert drift_of(sync, *COUNTS) == expected


def forget() -> None:
    """As if nothing of its pull requests had been read."""
    names = ("event", "commit", "")
    empty([*(f"activity_pullrequest{name}" for name in names), "activity_review", "activity_provenance"])


def test_an_entity_that_a_backfill_reads_twice_is_checked_once_and_missing_once(
    fake: FakeGitHub, workers: BackfillWorkers, api: Repository
) -> None:
    """Passes overlap: what is updated during the first is listed again in the second."""
    truth = fake.world.repositories[API].pull_requests
    assert isinstance(truth, Generated)
    last = truth.ordered("updated_at")[-1][1]
    fake.spoil(during_page(2, lambda: truth.edit(last, timezone.now(), title="Better")))
    sync = begin_sync(api)
    [row] = read_streams(workers, sync, streams=PULLS, page_size=10, since=timezone.now() - timedelta(days=3650))
    assert row.items > 30
    reviews = sum(kind == "review" for kind, _, _ in drifted(sync))
    assert drift_of(sync, *COUNTS) == {"pull_requests": (30 + reviews, 30 + reviews, 0, 30 + reviews)}


@pytest.mark.proof
def test_an_entity_that_two_backfills_of_a_run_miss_counts_once(workers: BackfillWorkers, api: Repository) -> None:
    sync = begin_sync(api)
    read_streams(workers, sync, streams=PULLS)
    once = drift_of(sync)
    forget()
    read_streams(workers, sync, streams=PULLS)
    assert drift_of(sync) == once


@pytest.mark.proof
def test_an_entity_that_changed_just_now_has_not_drifted(
    fake: FakeGitHub, workers: BackfillWorkers, api: Repository
) -> None:
    """Its webhook is on its way."""
    deliver(deliveries_about(fake, API))
    truth = fake.world.repositories[API].pull_requests
    assert isinstance(truth, Generated)
    truth.edit(3, timezone.now() - timedelta(seconds=20), title="Better")
    truth.edit(4, timezone.now() - timedelta(hours=1), title="Better")
    sync = begin_sync(api)
    read_streams(workers, sync, streams=PULLS)
    assert drifted(sync) == {("pull_request", f"{API}:4", "stale")}
    assert set(PullRequest.objects.filter(number__in=[3, 4]).values_list("title", flat=True)) == {"Better"}


def test_recovered_deliveries_are_counted_by_their_source(workers: BackfillWorkers, api: Repository) -> None:
    sync = begin_sync(api)
    read_streams(workers, sync, streams=PULLS)
    missing = Drift.objects.get().missing
    for event, source in (
        ("pull_request_review", "fetched"),
        ("pull_request", "fetched"),
        ("pull_request", "redelivered"),
        ("pull_request", "arrived"),
        ("push", "fetched"),
        ("member", "fetched"),
    ):
        make_missed(event, source)
    for _ in range(2):
        count_recovered({api.pk: sync.pk})
    assert dict(Drift.objects.values_list("stream", "recovery_sources")) == {
        "pull_requests": {"reconciliation": missing, "delivery_log": 2, "redelivery": 1},
        "commits": {"delivery_log": 1},
    }


def make_missed(event: str, source: str) -> None:
    """A delivery about the repository that was missed, and was recovered from this source."""
    MissedDelivery.objects.create(
        hook_id=1,
        guid=uuid4(),
        log_id=1,
        delivered_at=timezone.now(),
        status_code=0,
        event=event,
        repository_id=API,
        has_effect=True,
        state=MissedDelivery.State.KEPT,
        recovery_source=source,
        kept_at=timezone.now(),
    )


def test_every_event_with_a_stream_is_one_that_we_translate() -> None:
    known = {"push": None, "pull_request_review_thread": "resolved", "workflow_run": "completed"}
    for event in STREAM_OF_EVENT:
        actions = (known.get(event, "created"), "opened", "submitted")
        assert any(not isinstance(route(event, action), Unrouted) for action in actions), event


@pytest.mark.proof
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_drift_after_losing_one_delivery_in_twenty_equals_a_comparison_row_by_row(
    fake: FakeGitHub, workers: BackfillWorkers, either: Repository, seed: int
) -> None:
    repository, chance = either, random.Random(seed)  # noqa: S311  a repeatable loss
    deliver(sent for sent in deliveries_about(fake, repository.pk) if chance.random() > 0.05)
    expected = off(fake.world.repositories[repository.pk])
    first = begin_sync(repository)
    read_streams(workers, first, page_size=7)
    assert drifted(first) == expected
    assert expected, "something was lost"
    findings = Counter(finding for _, _, finding in expected)
    rows = Drift.objects.filter(repository_sync=first)
    assert (sum(row.missing for row in rows), sum(row.stale for row in rows)) == (
        findings["missing"],
        findings["stale"],
    )
    assert all(row.repaired == row.missing + row.stale for row in rows)
    assert sum(row.recovery_sources.get("reconciliation", 0) for row in rows) == findings["missing"]
    assert off(fake.world.repositories[repository.pk]) == set()
    second = begin_sync(repository)
    read_streams(workers, second)
    assert set(drift_of(second).values()) == {(0, 0)}
    assert drift_of(second, "checked") == drift_of(first, "checked")


def reconciled(workers: BackfillWorkers, repository: Repository) -> RepositorySync:
    sync = begin_sync(repository)
    assert [row.state for row in read_streams(workers, sync)] == ["done"] * len(STREAM_NAMES)
    return sync


@pytest.mark.proof
def test_nothing_is_missing_or_stale_if_no_delivery_was_lost(
    fake: FakeGitHub, workers: BackfillWorkers, either: Repository
) -> None:
    repository = either
    story = deliveries_about(fake, repository.pk)
    random.Random(7).shuffle(story)  # noqa: S311  a repeatable order
    deliver(story)
    sync = reconciled(workers, repository)
    assert drifted(sync) == set()
    assert set(drift_of(sync).values()) == {(0, 0)}
    assert all(row.checked for row in Drift.objects.filter(repository_sync=sync))
    assert set(drift_of(sync)) >= {
        "pull_requests",
        "issues",
        "issue_comments",
        "review_comments",
        "commits",
        "releases",
    }
