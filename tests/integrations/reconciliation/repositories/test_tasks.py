"""The tasks: a run's repositories go on by themselves, whoever is told of them, and in whatever state they are."""

from typing import Any

import pytest

from apps.activity.models import Installation, PullRequest, Repository, RepositoryAccess
from apps.github.auth import github
from apps.github.rate_limit import IN_FLIGHT_OTHERWISE, Lease, Priority, Purpose
from apps.github.responses import CORE, ResponseKind, Result
from apps.integrations import tasks
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill, RepositorySync, StreamMark
from apps.integrations.reconciliation import verify
from apps.jobs.wakeups import wake_next_waiter
from tests.fake_github.identities import APP_ID
from tests.fake_github.keys import app_pem
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


def test_the_task_of_a_repository_probes_it_follows_its_walks_and_counts_it(
    api: LiveRepository, nights: Nights
) -> None:
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
    nights.crew.work()
    row.refresh_from_db()
    assert (row.state, row.claim_number) == ("done", 2), "the last reading made it due"
    tasks.sync_repository(API, name)
    row.refresh_from_db()
    assert (row.state, row.claim_number) == ("done", 2)
    assert PullRequest.objects.filter(number=3).exists()


def test_who_reads_a_repository_is_found_when_it_is_its_turn(api: LiveRepository, nights: Nights) -> None:
    nights.begin()
    RepositorySync.objects.update(installation=None)
    nights.finish()
    assert RepositorySync.objects.get().installation_id == ACME


def test_what_nobody_reaches_fails_without_being_asked_for(api: LiveRepository, nights: Nights) -> None:
    RepositoryAccess.objects.update(has_access=False)
    nights.begin()
    RepositorySync.objects.update(installation=None)
    nights.finish()
    row = RepositorySync.objects.get()
    assert (row.state, row.reason) == ("failed", "no_installation")


def test_planning_makes_due_what_was_read_though_the_last_reading_told_nobody(
    api: LiveRepository, nights: Nights
) -> None:
    nights.run()
    nights.pass_time(DAY)
    api.open(3, ago=HOUR)
    api.happen()
    nights.begin()
    nights.probe()
    assert verify.plan() == 0, "it is being read"
    Backfill.objects.unfinished().cancel()
    assert verify.plan() == 1
    assert verify.plan() == 0


def test_whoever_is_to_count_waits_for_the_same_turn(api: LiveRepository, nights: Nights) -> None:
    nights.run()
    nights.pass_time(DAY)
    api.open(3, ago=HOUR)
    api.happen()
    [row] = nights.begin()
    nights.probe()
    while Backfill.objects.unfinished().exists():
        nights.crew.advance(Backfill.objects.unfinished().earliest("pk"))
    others = Purpose(priority=Priority.LIVE, subject="another")
    budget = nights.access.client.budget
    held = [budget.take(installation_id=ACME, resource=CORE, purpose=others) for _ in range(IN_FLIGHT_OTHERWISE)]
    assert isinstance(held[0], Lease)
    nights.verify(row)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("waiting", "busy")
    RepositorySync.objects.update(not_before="2099-01-01T00:00:00Z")
    told = budget.settle(held[0], result=Result(kind=ResponseKind.OK), limit=None)
    assert wake_next_waiter(told) == 1
    nights.verify(row)
    row.refresh_from_db()
    assert row.state == "done"


def test_walks_of_a_run_are_its_own_and_those_that_go_on_already_stay_whose_they_were(
    api: LiveRepository, nights: Nights
) -> None:
    [row] = nights.begin()
    repositories = api_rows()
    start(repositories, scope=Scope(streams=("issues",)))
    start(repositories, scope=Scope(streams=("issues", "releases")), sync=row)
    unfinished = Backfill.objects.unfinished().values_list("stream", "sync")
    assert dict(unfinished) == {"issues": None, "releases": row.pk}


def test_a_walk_that_goes_on_already_is_waited_for_then_the_repository_is_probed_again(
    api: LiveRepository, nights: Nights
) -> None:
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


def test_a_walk_that_somebody_paused_is_not_waited_for(api: LiveRepository, nights: Nights) -> None:
    start(api_rows(), scope=Scope(streams=("issues",)))
    Backfill.objects.unfinished().pause()
    [row] = nights.run()
    assert row.state == "done"
    assert Installation.objects.count() == 1


def test_a_walk_that_failed_fails_its_repository_and_moves_no_mark(api: LiveRepository, nights: Nights) -> None:
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
    assert marks_of("review_comments") != kept, "what was walked whole is kept"


def marks_of(stream: str) -> Any:
    return StreamMark.objects.get(stream=stream).passed_at


def api_rows() -> Any:
    return Repository.objects.filter(pk=API)
