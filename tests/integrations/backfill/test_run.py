"""Walking on: each page is kept with the cursor that follows it, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from apps.activity.models import Coverage, Provenance, PullRequest, Repository
from apps.integrations.models import Backfill
from apps.integrations.reader import Page, PageRequest, Reader, Skipped
from tests.activity.tables import contents
from tests.fake_github.server import FakeGitHub
from tests.integrations.backfill.installed import MONDAY, backfill
from tests.integrations.backfill.workers import BackfillWorkers, during_page, side_by_side

pytestmark = pytest.mark.django_db(transaction=True)
BORN = datetime(2025, 1, 6, tzinfo=UTC)
LONG = 2
"""How many of the 30 pull requests have longer lists than a page shows: the rest of each is a page of its own."""


def read_of(row: Backfill) -> tuple[int, int]:
    """How many pull requests are here, and how many the row says were read."""
    row.refresh_from_db()
    return PullRequest.objects.count(), row.items


@pytest.mark.proof
def test_a_backfill_records_everything_and_covers_its_stream(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    Repository.objects.update(created_at=BORN)
    row = workers.advance(backfill(api, page_size=10))
    assert PullRequest.objects.count() == 30
    assert (row.state, row.items, row.total) == ("done", 30, 30)
    assert row.pages == 3 + LONG
    assert (row.calls, row.points) == (len(fake.calls("graphql")), sum(call.cost for call in fake.calls("graphql")))
    assert (row.lease_until, row.leased_by, row.error, row.attempts) == (None, "", "", 0)
    assert row.finished_at is not None
    assert row.advanced_at is not None
    covered = Coverage.objects.get()
    assert (covered.repository, covered.stream) == (api, "pull_requests")
    assert (covered.from_at, covered.to_at) == (BORN, row.started_at)
    assert set(Provenance.objects.values_list("source", "source_key")) == {("api", f"backfill {row.pk}")}


@dataclass(frozen=True, slots=True)
class Leaky:
    """A backfill of two pages, one of which names what GitHub could not show."""

    leaks_at: str
    page_size: int = 25
    most: int = 25

    def read(self, request: PageRequest, reader: Reader) -> Page:
        left_out = (Skipped(what="pull request 7", why="HTTP 502"),) if request.cursor == self.leaks_at else ()
        return Page(facts=(), cursor=None if request.cursor else "second", items=0, skipped=left_out)

    skip_item = read


@pytest.mark.parametrize(("leaks_at", "covered"), [("", 0), ("second", 0), ("nowhere", 1)])
def test_what_skipped_something_covers_nothing(
    api: Repository, workers: BackfillWorkers, leaks_at: str, covered: int
) -> None:
    workers.streams = {"pull_requests": Leaky(leaks_at)}
    row = workers.advance(backfill(api))
    assert (row.state, len(row.skipped)) == ("done", 1 - covered)
    assert Coverage.objects.count() == covered


def test_a_stream_that_this_version_does_not_know_fails_and_says_so(api: Repository, workers: BackfillWorkers) -> None:
    row = workers.advance(backfill(api, stream="discussions"))
    assert (row.state, row.reason) == ("failed", "unknown_stream")
    assert "discussions" in row.error


@pytest.mark.proof
@pytest.mark.parametrize(
    ("bounds", "covered"),
    [({"since": MONDAY}, (MONDAY, None)), ({"until": MONDAY}, (datetime(1970, 1, 1, tzinfo=UTC), MONDAY))],
)
def test_what_is_covered_lies_between_the_bounds_of_the_backfill(
    api: Repository, workers: BackfillWorkers, bounds: dict[str, Any], covered: tuple[datetime, datetime | None]
) -> None:
    row = workers.advance(backfill(api, **bounds))
    found = Coverage.objects.get()
    assert (found.from_at, found.to_at) == (covered[0], covered[1] or row.started_at)


@pytest.mark.proof
def test_when_its_time_slice_is_over_another_task_continues(api: Repository, workers: BackfillWorkers) -> None:
    workers.seconds = 0.0
    row = workers.advance(backfill(api, page_size=10))
    assert (row.state, row.items, row.reason) == ("waiting", 10, "")
    assert row.not_before <= timezone.now()
    workers.seconds = 60.0
    assert workers.advance(row).state == "done"
    assert PullRequest.objects.count() == 30


@pytest.mark.proof
def test_a_start_is_read_to_its_end_time_slice_by_time_slice(api: Repository, workers: BackfillWorkers) -> None:
    workers.seconds = 0.0
    row = backfill(api, page_size=10, installation_id=7)
    assert workers.work() == 3 + LONG
    assert read_of(row) == (30, 30)
    assert row.state == "done"


@pytest.mark.proof
def test_two_workers_read_one_stream_once(fake: FakeGitHub, api: Repository, workers: BackfillWorkers) -> None:
    row = backfill(api, page_size=10)
    side_by_side(*[lambda: workers.advance(Backfill.objects.get(pk=row.pk))] * 2)
    assert read_of(row) == (30, 30)
    assert (row.state, row.pages, row.claim_number) == ("done", 3 + LONG, 1)
    assert len(fake.calls("graphql")) == row.calls == 3 + LONG


@pytest.mark.proof
@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_a_backfill_that_is_stopped_while_a_page_is_read_stores_nothing_of_it(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers, stop: str
) -> None:
    row = backfill(api, page_size=10)
    fake.spoil(during_page(3, getattr(Backfill.objects.all(), stop)))
    workers.advance(row)
    assert read_of(row) == (10, 10)
    assert (row.state, row.lease_until) == ({"pause": "paused", "cancel": "cancelled"}[stop], None)
    assert len(fake.calls("graphql")) == 3
    assert workers.work() == 0


@pytest.mark.proof
def test_a_paused_backfill_continues_where_it_was(fake: FakeGitHub, api: Repository, workers: BackfillWorkers) -> None:
    row = backfill(api, page_size=10, installation_id=7)
    fake.spoil(during_page(3, Backfill.objects.all().pause))
    workers.advance(row)
    assert Backfill.objects.all().resume() == 1
    assert workers.work() == 1
    assert read_of(row) == (30, 30)
    assert row.state == "done"
    assert len(fake.calls("graphql")) == 3 + LONG + 1, "one page was read twice"


def test_a_worker_whose_claim_was_taken_over_writes_nothing(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    """Another took it over and is further by now."""
    row = backfill(api, page_size=10)

    def take_over() -> None:
        Backfill.objects.update(claim_number=9, leased_by="another")

    fake.spoil(during_page(3, take_over))
    workers.advance(row)
    assert read_of(row) == (10, 10)
    assert (row.state, row.leased_by, row.claim_number) == ("running", "another", 9)
    assert row.lease_until is not None
    assert not Coverage.objects.exists()


def test_a_backfill_that_is_widened_while_a_page_is_read_begins_again(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    row = backfill(api, page_size=10, since=BORN)

    def widen() -> None:
        Backfill.objects.update(
            since=None, cursor="", started_at=None, claim_number=5, state="waiting", lease_until=None, leased_by=""
        )

    fake.spoil(during_page(2, widen))
    workers.advance(row)
    assert read_of(row)[0] == 10
    assert (row.state, row.cursor, row.since) == ("waiting", "", None)


@pytest.mark.proof
def test_reading_again_changes_nothing_but_when_it_was_seen(api: Repository, workers: BackfillWorkers) -> None:
    workers.advance(backfill(api))
    before, covered = counts(), Coverage.objects.get()
    workers.advance(backfill(api, page_size=7))
    assert counts() == before
    assert before[PullRequest.__name__] == 30
    again = Coverage.objects.get()
    assert again.from_at == covered.from_at
    assert again.to_at > covered.to_at


def counts() -> dict[str, int]:
    return {name: len(rows) for name, rows in contents().items()}


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Somebody holds the whole table."""
    with connection.get_new_connection(connection.get_connection_params()) as other:
        other.execute(f"LOCK TABLE {table}")
        yield


@pytest.mark.proof
def test_a_database_that_takes_too_long_costs_the_page_and_less_is_asked_for(
    api: Repository, workers: BackfillWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.integrations.backfill.claimed_stream.LONGEST_COMMIT_S", 0.5)
    row = backfill(api, page_size=10)
    with locked("activity_pullrequest"):
        workers.advance(row)
    row.refresh_from_db()
    assert (row.state, row.items, row.page_size) == ("waiting", 0, 5)
    assert workers.advance(row).state == "done"
    assert PullRequest.objects.count() == 30


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_costs_the_page_and_no_attempt(
    api: Repository, workers: BackfillWorkers, fake: FakeGitHub
) -> None:
    row = backfill(api, page_size=10)
    fake.spoil(during_page(2, end_other_connections))
    with pytest.raises(OperationalError):
        workers.advance(row)
    row.refresh_from_db()
    assert (row.state, row.reason, row.items, row.attempts) == ("waiting", "database", 10, 0)
    assert timedelta(0) < row.not_before - timezone.now() < timedelta(seconds=6)


def end_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
