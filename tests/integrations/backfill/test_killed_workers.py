"""Workers die at random moments (`KILLS=30` for the documents' figures) and at each point of a half-done page."""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps.activity.models import Coverage, PullRequest, Repository
from apps.common.failpoints import READING_POINTS
from apps.integrations.models import Backfill
from apps.jobs import wakeups
from tests.activity.tables import contents, empty
from tests.fake_github.faults import Fault, graphql, slow
from tests.fake_github.generated import Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB, forget_everything
from tests.integrations.backfill.installed import backfill, install, reach
from tests.integrations.backfill.real_worker import RealWorker, enqueue_until_finished, let_a_minute_pass, working
from tests.integrations.backfill.workers import BackfillWorkers
from tests.webhooks.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)
KILLS = int(os.environ.get("KILLS", "5"))
PULL_REQUESTS = 60 * KILLS if KILLS < 30 else 2000
MOST_PAGES, LONGEST_S = 2, 0.6
"""The worker that reads is killed after no, one or two pages, and a moment: somewhere in the next one."""
ALL_OF_IT = 0.2
"""How often it is the whole worker that is killed, and not the child that works."""


@dataclass(frozen=True, slots=True)
class Carnage:
    """What was killed."""

    children: int
    workers: int


def kill_at_random(worker: RealWorker, row: Backfill, *, chance: random.Random) -> Carnage:
    """Kill so many times, each time a worker that reads, and not the one that was killed before."""
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
    """Return whether a worker claimed it since this claim, and has read so far; beat sends wake-ups meanwhile."""
    wakeups.enqueue_due()
    row.refresh_from_db()
    assert row.state in {"waiting", "running"}, f"{row.state} before it was killed often enough"
    return row.claim_number > claim_number and row.pages >= pages


def counts() -> dict[str, int]:
    return {name: len(rows) for name, rows in contents().items()}


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_backfill_whose_workers_are_killed_again_and_again_ends_whole(
    fake: FakeGitHub, workers: BackfillWorkers
) -> None:
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
    summary = (
        f"seed {seed}: {carnage}, {row.pages} pages kept, {asked - row.pages} read again, {row.claim_number} claims"
    )
    print(summary)  # noqa: T201  pytest -s shows what a run came to
    assert carnage.children + carnage.workers == KILLS, summary
    assert (row.state, row.reason, row.skipped) == ("done", "", []), summary
    assert row.items == PullRequest.objects.count() == PULL_REQUESTS, summary
    assert asked - row.pages <= KILLS, summary
    assert Coverage.objects.count() == 1
    disturbed = counts()
    fake.faults.clear()
    workers.seconds = 600.0
    assert workers.advance(backfill(row.repository, installation_id=ACME)).state == "done"
    assert counts() == disturbed, "an undisturbed backfill finds nothing missing"


FACTS = ("activity_pullrequest", "activity_pullrequestevent", "activity_pullrequestcommit", "activity_review")


def begin(api: Repository) -> Backfill:
    """Nothing was read yet."""
    empty([*FACTS, "activity_provenance", "activity_coverage", "activity_change", "integrations_backfill", "jobs_job"])
    return backfill(api, installation_id=ACME, page_size=10)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_a_death_at_any_point_repeats_one_page_and_doubles_nothing(
    fake: FakeGitHub, api: Repository, workers: BackfillWorkers, tmp_path: Path
) -> None:
    undisturbed = workers.advance(begin(api))
    expected, pages = counts(), len(fake.calls("graphql"))
    assert undisturbed.pages == pages
    with working(fake, crash_folder=tmp_path):
        for point in sorted(READING_POINTS):
            row, asked = begin(api), len(fake.calls("graphql"))
            forget_everything()
            (tmp_path / point).touch()
            enqueue_until_finished()
            row.refresh_from_db()
            assert not (tmp_path / point).exists(), f"nobody came to {point}"
            assert (row.state, row.items, row.pages) == ("done", 30, pages), point
            assert row.claim_number >= 2, "it was taken over"
            assert len(fake.calls("graphql")) - asked <= pages + 1, point
            assert counts() == expected, point
            assert Coverage.objects.count() == 1, point
            assert PullRequest.objects.count() == 30, point
