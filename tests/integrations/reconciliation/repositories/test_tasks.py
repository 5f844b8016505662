"""The tasks: a run's repositories go on by themselves, whichever worker is notified, and in whatever state they are."""

from typing import Any

import pytest

from apps.activity.models import Installation, PullRequest, Repository, RepositoryAccess
from apps.github.auth import github
from apps.github.rate_limit import IN_FLIGHT_OTHERWISE, Lease, Priority, Purpose
from apps.github.responses import CORE, ResponseKind, Result
from apps.integrations import tasks
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill, RepositorySync, StreamMark
from apps.integrations.reconciliation import repository_verification
from apps.jobs.wakeups import wake_next_waiter
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API
from tests.integrations.reconciliation.repositories.night_runs import Nights
from tests.integrations.refresh.live_repository import DAY, HOUR, LiveRepository

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]


@pytest.fixture(autouse=True)
def credentials(fake: FakeGitHub, settings: Any) -> Any:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = str(APP_ID), app_pem()
    settings.GITHUB_API_URL = fake.url
    github.cache_clear()
    yield
    github.cache_clear()


def test_the_task_of_a_repository_probes_reads_and_verifies_it(api: LiveRepository, nights: Nights) -> None:
    nights.run()
    nights.pass_time(DAY)
    api.open(3, ago=HOUR)
    api.happen()
    [row] = nights.begin()
    name = row.sync.sync_id
    tasks.sync_repository(API, name)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("waiting", "reading")
    tasks.sync_repository(API, name)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("waiting", "reading"), "it is still being read"
    nights.workers.work()
    row.refresh_from_db()
    assert (row.state, row.claim_number) == ("done", 2), "the last reading made it due"
    tasks.sync_repository(API, name)
    row.refresh_from_db()
    assert (row.state, row.claim_number) == ("done", 2)
    assert PullRequest.objects.filter(number=3).exists()


def test_the_installation_that_reads_a_repository_is_found_when_it_is_claimed(
    api: LiveRepository, nights: Nights
) -> None:
    nights.begin()
    RepositorySync.objects.update(installation=None)
    nights.finish()
    assert RepositorySync.objects.get().installation_id == ACME


def test_a_repository_that_no_installation_reaches_fails_without_a_request(api: LiveRepository, nights: Nights) -> None:
    RepositoryAccess.objects.update(has_access=False)
    nights.begin()
    RepositorySync.objects.update(installation=None)
    nights.finish()
    row = RepositorySync.objects.get()
    assert (row.state, row.reason) == ("failed", "no_installation")


def test_planning_makes_a_read_repository_due_even_if_its_last_backfill_did_not(
    api: LiveRepository, nights: Nights
) -> None:
    nights.run()
    nights.pass_time(DAY)
    api.open(3, ago=HOUR)
    api.happen()
    nights.begin()
    nights.probe()
    assert repository_verification.plan() == 0, "it is being read"
    Backfill.objects.unfinished().cancel()
    assert repository_verification.plan() == 1
    assert repository_verification.plan() == 0


def test_verification_waits_for_github_under_the_same_name_as_the_probe(api: LiveRepository, nights: Nights) -> None:
    nights.run()
    nights.pass_time(DAY)
    api.open(3, ago=HOUR)
    api.happen()
    [row] = nights.begin()
    nights.probe()
    while Backfill.objects.unfinished().exists():
        nights.workers.advance(Backfill.objects.unfinished().earliest("pk"))
    others = Purpose(priority=Priority.LIVE, subject="another")
    budget = nights.access.client.budget
    held = [budget.take(installation_id=ACME, resource=CORE, purpose=others) for _ in range(IN_FLIGHT_OTHERWISE)]
    assert isinstance(held[0], Lease)
    nights.verify(row)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("waiting", "busy")
    RepositorySync.objects.update(not_before="2099-01-01T00:00:00Z")
    waiter = budget.settle(held[0], result=Result(kind=ResponseKind.OK), limit=None)
    assert wake_next_waiter(waiter) == 1
    nights.verify(row)
    row.refresh_from_db()
    assert row.state == "done"


def test_a_run_starts_its_own_backfills_and_leaves_unfinished_ones_to_their_owners(
    api: LiveRepository, nights: Nights
) -> None:
    [row] = nights.begin()
    repositories = api_rows()
    start(repositories, scope=Scope(streams=("issues",)))
    start(repositories, scope=Scope(streams=("issues", "releases")), sync=row)
    unfinished = Backfill.objects.unfinished().values_list("stream", "sync")
    assert dict(unfinished) == {"issues": None, "releases": row.pk}


def test_a_repository_with_an_unfinished_backfill_is_probed_again_after_it(api: LiveRepository, nights: Nights) -> None:
    nights.run()
    start(api_rows(), scope=Scope(streams=("issues",)))
    [row] = nights.begin()
    nights.probe()
    row.refresh_from_db()
    assert (row.reason, row.differs) == ("reading", ["issues"])
    nights.finish()
    row.refresh_from_db()
    assert (row.state, row.differs) == ("done", [])
    assert not Backfill.objects.filter(sync=row).exists()


def test_a_run_does_not_wait_for_a_paused_backfill(api: LiveRepository, nights: Nights) -> None:
    start(api_rows(), scope=Scope(streams=("issues",)))
    Backfill.objects.unfinished().pause()
    [row] = nights.run()
    assert row.state == "done"
    assert Installation.objects.count() == 1


def test_a_failed_backfill_fails_its_repository_and_moves_no_mark(api: LiveRepository, nights: Nights) -> None:
    nights.run()
    nights.pass_time(DAY)
    api.open(3, ago=HOUR)
    api.happen()
    [row] = nights.begin()
    nights.probe()
    kept = marks_of("pull_requests")
    Backfill.objects.filter(sync=row, stream="pull_requests").update(
        state="failed", error="It broke.", finished_at="2026-03-02T00:00:00Z"
    )
    nights.finish()
    row.refresh_from_db()
    assert (row.state, row.reason, row.error) == ("failed", "not_read", "pull_requests: It broke.")
    assert marks_of("pull_requests") == kept
    assert marks_of("review_comments") != kept, "the mark of what was read whole is kept"


def marks_of(stream: str) -> Any:
    return StreamMark.objects.get(stream=stream).passed_at


def api_rows() -> Any:
    return Repository.objects.filter(pk=API)
