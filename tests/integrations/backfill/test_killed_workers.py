"""Kill -9 at random moments of a long walk. `KILLS=30` makes it as long as the one whose figures the documents give."""

import os
import random
import time
from dataclasses import dataclass

import pytest

from apps.activity.models import Coverage, PullRequest
from apps.integrations.models import Backfill
from apps.jobs import wakeups
from tests.activity.tables import contents
from tests.fake_github.faults import Fault, graphql, slow
from tests.fake_github.generated import Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.integrations.backfill.crew import Crew
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.real_worker import RealWorker, enqueue_until_finished, let_a_minute_pass, working
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)
KILLS = int(os.environ.get("KILLS", "5"))
PULL_REQUESTS = 60 * KILLS if KILLS < 30 else 2000
MOST_PAGES, LONGEST_S = 2, 0.6
"""Whoever walks is killed after no, one or two pages, and a moment: somewhere in the next one."""
ALL_OF_IT = 0.2
"""How often it is the whole worker that is killed, and not the child that works."""


@dataclass(frozen=True, slots=True)
class Carnage:
    """What was killed."""

    children: int
    workers: int


def kill_at_random(worker: RealWorker, row: Backfill, *, chance: random.Random) -> Carnage:
    """Kill so many times, each time somebody who walks, and not the one who was killed before."""
    children = workers = claim_number = 0
    while children + workers < KILLS:
        wanted = row.pages + chance.randint(0, MOST_PAGES)
        eventually(lambda: has_come(row, claim_number=claim_number, pages=wanted))  # noqa: B023  now
        time.sleep(chance.uniform(0.0, LONGEST_S))
        row.refresh_from_db()
        if row.state != "running":
            continue
        claim_number = row.claim_number
        if chance.random() < ALL_OF_IT:
            worker.kill()
            worker.start()
            workers += 1
        else:
            children += worker.kill_child()
        let_a_minute_pass()
    return Carnage(children, workers)


def has_come(row: Backfill, *, claim_number: int, pages: int) -> bool:
    """Whether somebody has claimed it since this claim, and has come so far; beat rings meanwhile."""
    wakeups.enqueue_due()
    row.refresh_from_db()
    assert row.state in {"waiting", "running"}, f"{row.state} before it was killed often enough"
    return row.claim_number > claim_number and row.pages >= pages


def counts() -> dict[str, int]:
    return {name: len(rows) for name, rows in contents().items()}


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_walk_whose_workers_are_killed_again_and_again_ends_whole(fake: FakeGitHub, crew: Crew) -> None:
    fake.world.add("web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=PULL_REQUESTS))
    install()
    row = backfill(reach("acme/web", WEB), installation_id=ACME)
    fake.spoil(Fault(slow(0.3), graphql, times=None, is_instead=False))
    seed = int(os.environ.get("SEED", random.randrange(10**6)))  # noqa: S311  a run can be repeated by it
    with working(fake) as worker:
        carnage = kill_at_random(worker, row, chance=random.Random(seed))  # noqa: S311
        enqueue_until_finished(within_s=600)
    row.refresh_from_db()
    asked = len(fake.calls("graphql"))
    told = f"seed {seed}: {carnage}, {row.pages} pages kept, {asked - row.pages} read again, {row.claim_number} claims"
    print(told)  # noqa: T201  pytest -s shows what a run came to
    assert carnage.children + carnage.workers == KILLS, told
    assert (row.state, row.reason, row.skipped) == ("done", "", []), told
    assert row.items == PullRequest.objects.count() == PULL_REQUESTS, told
    assert asked - row.pages <= KILLS, told
    assert Coverage.objects.count() == 1
    disturbed = counts()
    fake.faults.clear()
    crew.seconds = 600.0
    assert crew.advance(backfill(row.repository, installation_id=ACME)).state == "done"
    assert counts() == disturbed, "an undisturbed walk finds nothing missing"
