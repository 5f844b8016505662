"""Limits, failures and too much: a batch waits in its rows, and no worker does."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from apps.activity.models import Repository
from apps.integrations.models import RepositorySync
from apps.integrations.reconciliation.claimed_repositories import claim_more
from apps.jobs.claims import claim_next
from tests.fake_github import faults
from tests.fake_github.faults import Fault, graphql, secondary, status, too_heavy
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, Clock
from tests.integrations.backfill.installed import install, reach
from tests.integrations.backfill.workers import side_by_side
from tests.integrations.reconciliation.repositories.night_runs import Nights

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 40


@pytest.fixture(autouse=True)
def many(fake: FakeGitHub, nights: Nights) -> list[Repository]:
    """Repositories in which nothing ever happened."""
    install()
    found = []
    for number in range(1, MANY + 1):
        repository_id = 1000 + number
        fake.world.add(f"r{number}", installation_id=ACME, repository_id=repository_id)
        truth = fake.world.repositories[repository_id]
        truth.pull_requests.count = 0  # type: ignore[attr-defined]
        found.append(reach(f"acme/r{number}", repository_id, created_at=truth.json["created_at"]))
    nights.cover(found)
    return found


def rows() -> list[tuple[str, str]]:
    return list(RepositorySync.objects.order_by("repository").values_list("state", "reason"))


def asked_at_once(fake: FakeGitHub) -> list[int]:
    """How many repositories each request asked for."""
    return [sum(name.startswith("owner") for name in call.document["variables"]) for call in fake.calls("graphql")]


def test_thirty_five_repositories_are_one_request_of_one_point(fake: FakeGitHub, nights: Nights) -> None:
    nights.run()
    assert set(rows()) == {("done", "")}
    assert asked_at_once(fake) == [35, 5]
    assert [call.cost for call in fake.calls("graphql")] == [1, 1]


def test_a_limit_is_waited_for_by_all_of_the_installation(fake: FakeGitHub, nights: Nights, clock: Clock) -> None:
    fake.spoil(Fault(secondary(retry_after_s=120), graphql))
    nights.begin()
    nights.probe()
    assert set(rows()) == {("waiting", "blocked")}
    assert RepositorySync.objects.filter(not_before__gt=timezone.now()).count() == MANY, "no worker slept meanwhile"
    asked = len(fake.calls("graphql"))
    nights.probe()
    assert len(fake.calls("graphql")) == asked
    clock.wind(121)
    RepositorySync.objects.update(not_before=F("not_before") - timedelta(seconds=121))
    nights.finish()
    assert set(rows()) == {("done", "")}


@pytest.fixture
def slow_ending() -> Iterator[None]:
    """The server ends every statement by which a job is done, as a timeout does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION time_out() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'too slow' USING ERRCODE = 'query_canceled'; END $$;"
            " CREATE TRIGGER slow_ending BEFORE UPDATE ON jobs_job FOR EACH ROW WHEN (NEW.state = 'done')"
            " EXECUTE FUNCTION time_out()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER slow_ending ON jobs_job; DROP FUNCTION time_out()")


@pytest.mark.usefixtures("slow_ending")
def test_a_slow_statement_costs_an_attempt_and_fewer_are_probed_at_once(nights: Nights) -> None:
    nights.begin()
    nights.probe()
    waiting = RepositorySync.objects.filter(attempts=1)
    assert set(waiting.values_list("state", "reason", "page_size")) == {("waiting", "not_recorded", 17)}


def test_a_failed_probe_is_retried_later_each_time(fake: FakeGitHub, nights: Nights) -> None:
    fake.spoil(Fault(status(500), graphql, times=2))
    nights.begin()
    for attempts in (1, 2):
        nights.probe()
        waiting = RepositorySync.objects.filter(attempts=attempts)
        assert waiting.count() == 35
        assert set(waiting.values_list("state", "reason")) == {("waiting", "unanswered")}
        RepositorySync.objects.exclude(attempts=attempts).update(not_before=timezone.now() + timedelta(hours=1))
        waiting.update(not_before=timezone.now())
    RepositorySync.objects.update(not_before=timezone.now())
    nights.finish()
    assert set(rows()) == {("done", "")}


@pytest.mark.proof
def test_a_batch_that_is_too_large_is_halved_at_once(fake: FakeGitHub, nights: Nights) -> None:
    fake.spoil(Fault(too_heavy(), graphql, times=2))
    nights.run()
    assert set(rows()) == {("done", "")}
    assert asked_at_once(fake)[:2] == [35, 17]


def test_a_second_worker_probes_nothing_until_the_first_one_has_died(fake: FakeGitHub, nights: Nights) -> None:
    nights.begin()
    first = claim_next(task_id="another")
    assert first is not None
    assert len(claim_more(first, most=4)) == 4
    nights.probe()
    assert asked_at_once(fake) == []
    RepositorySync.objects.all().jobs.filter(state="running").update(lease_until=timezone.now() - timedelta(seconds=1))
    nights.probe()
    assert set(rows()) == {("done", "")}
    assert sum(asked_at_once(fake)) == MANY


def test_four_workers_at_once_probe_each_repository_once(fake: FakeGitHub, nights: Nights) -> None:
    nights.begin()
    side_by_side(*[nights.probe] * 4)
    nights.finish()
    assert set(rows()) == {("done", "")}
    assert sum(asked_at_once(fake)) == MANY
    assert fake.most_at_once[ACME, "graphql"] == 1


def test_an_installation_that_refuses_fails_them_with_its_words(fake: FakeGitHub, nights: Nights) -> None:
    words = "Resource not accessible by integration"
    fake.spoil(Fault(faults.status(403, {"message": words}), graphql, times=None))
    nights.begin()
    nights.probe()
    found = RepositorySync.objects.filter(state="failed", reason="forbidden")
    assert found.count() == 35
    assert set(found.values_list("error", flat=True)) == {words}
