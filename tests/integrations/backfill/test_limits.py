"""Many backfills within the limits: no useless requests, no sleeping workers, no account that delays another."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.activity.models import PullRequest, Repository
from apps.integrations.models import Backfill
from tests.fake_github.faults import Fault, graphql, secondary, slow
from tests.fake_github.generated import Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA, WEB, Clock
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.workers import BackfillWorkers
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)
TOOLS = 13


def add_repository(fake: FakeGitHub, name: str, repository_id: int, *, installation_id: int = ACME) -> Backfill:
    """Another repository of 30 pull requests, and its backfill."""
    fake.world.add(name, installation_id=installation_id, repository_id=repository_id, size=Size(pull_requests=30))
    owner_id = 600 if installation_id == BETA else 500
    known = reach(f"acme/{name}", repository_id, installation_id=installation_id, owner_id=owner_id)
    return backfill(known, installation_id=installation_id, page_size=5)


def is_over() -> bool:
    return not Backfill.objects.unfinished().exists()


@contextmanager
def beating(workers: BackfillWorkers, *, every_s: float = 0.2) -> Iterator[None]:
    """Beat sends wake-ups and workers work until the end of the block; only time is short here."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(every_s):
            workers.work()
        connection.close()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.proof
def test_a_spent_limit_is_waited_for_without_a_call_and_the_backfill_continues(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    """Two hundred points are less than what backfill leaves to others."""
    fake.limits.leave(ACME, "graphql", remaining=200, resets_in_s=20)
    resets_at = timezone.now() + timedelta(seconds=20)
    row = workers.advance(backfill(api, page_size=5, installation_id=ACME))
    assert (row.state, row.reason, row.attempts, row.calls) == ("waiting", "spent", 0, 1), "the first call showed it"
    assert abs(row.not_before - resets_at) < timedelta(seconds=3)
    assert (row.lease_until, row.leased_by) == (None, ""), "nobody holds it"
    with beating(workers):
        eventually(lambda: len(fake.calls("graphql")) > 1)
        assert timezone.now() > row.not_before, "no call is made while it waits"
        eventually(is_over)
    row.refresh_from_db()
    assert (row.state, row.items) == ("done", 30)
    assert len(fake.calls("graphql")) == row.calls


def test_a_limit_that_one_backfill_meets_is_waited_for_by_the_others(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    rows = [backfill(api, page_size=5, installation_id=ACME), add_repository(fake, "web", WEB)]
    issues = backfill(api, stream="issues", installation_id=ACME)
    fake.limits.leave(ACME, "graphql", remaining=200, resets_in_s=1800)
    workers.advance(rows[0])
    waiting = Backfill.objects.filter(reason="spent", not_before__gt=timezone.now() + timedelta(seconds=1700))
    assert set(waiting) == set(rows), "those that ask for the same"
    issues.refresh_from_db()
    assert (issues.reason, issues.not_before < timezone.now()) == ("", True)


@pytest.mark.proof
def test_a_secondary_limit_is_obeyed_and_one_request_asks_whether_it_is_over(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers, clock: Clock
) -> None:
    backfill(api, page_size=5, installation_id=ACME)
    add_repository(fake, "web", WEB)
    add_repository(fake, "tools", TOOLS)
    fake.spoil(Fault(secondary(retry_after_s=60), graphql, times=2))

    def all_wait() -> bool:
        workers.work(hands=4)
        return Backfill.objects.filter(state="waiting", reason="blocked", attempts=0).count() == 3

    for window in (1, 2):
        eventually(all_wait)
        assert refusals(fake) == Counter({ACME: window}), "one 403 in each window"
        clock.wind(61)
        Backfill.objects.update(not_before=timezone.now())
    while not is_over():
        workers.work()
    assert refusals(fake) == Counter({ACME: 2})
    assert PullRequest.objects.count() == 90


def refusals(fake: FakeGitHub) -> Counter[int]:
    """The number of requests that GitHub refused, by installation. The fake notes what a fault replaces as 500."""
    return Counter(call.payer for call in fake.calls("graphql") if call.status == 500)


@pytest.mark.proof
def test_an_installation_that_has_spent_its_limit_does_not_slow_another(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    fake.world.install(BETA)
    install(BETA, login="beta", account_id=600)
    spent = [backfill(api, page_size=5, installation_id=ACME), add_repository(fake, "web", WEB)]
    other = add_repository(fake, "tools", TOOLS, installation_id=BETA)
    fake.limits.leave(ACME, "graphql", remaining=0, resets_in_s=1800)
    workers.work()
    other.refresh_from_db()
    assert (other.state, other.items) == ("done", 30)
    for row in spent:
        row.refresh_from_db()
        assert (row.state, row.reason, row.items) == ("waiting", "spent", 0)
    assert len(fake.calls("graphql", payer=ACME)) <= 1


@pytest.mark.proof
def test_four_workers_keep_one_request_of_an_installation_in_flight_and_are_fair_to_its_backfills(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers
) -> None:
    rows = [backfill(api, page_size=5, installation_id=ACME)]
    rows += [add_repository(fake, "web", WEB), add_repository(fake, "tools", TOOLS)]
    fake.spoil(Fault(slow(0.05), graphql, times=None, is_instead=False))
    finished: list[int] = []
    while not is_over():
        workers.work(hands=4)
        finished.append(Backfill.objects.filter(state="done").count())
    assert fake.most_at_once[ACME, "graphql"] == 1
    assert PullRequest.objects.count() == 90
    assert set(Backfill.objects.values_list("state", "items", "attempts")) == {("done", 30, 0)}
    assert sum(row.calls for row in Backfill.objects.all()) == len(fake.calls("graphql")), "no page was read twice"
    pages = [call.document["variables"].get("name") for call in fake.calls("graphql")]
    first_half = Counter(name for name in pages[: len(pages) // 2] if name)
    assert set(first_half) == {"api", "web", "tools"}, "each had turns before any of them was through"
