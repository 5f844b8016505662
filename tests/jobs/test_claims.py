"""Which job is claimed next: so many of an installation at once, the most urgent first, then what waited longest."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from apps.jobs import claims, registry
from apps.jobs.claims import claim, claim_next
from apps.jobs.models import LEASE, ClaimLostError, Job
from apps.jobs.registry import JobKind
from tests.fake_github.using import ACME, BETA
from tests.integrations.backfill.workers import side_by_side
from tests.jobs.conftest import LIST, READ
from tests.plans import explaining

pytestmark = pytest.mark.django_db
MINUTE, OVER = timedelta(minutes=1), timedelta(seconds=-1)


def make(
    key: str, *, kind: str = READ, installation: int | None = ACME, minutes_ago: int | None = 5, **about: Any
) -> Job:
    """A job that advanced some minutes ago, or never."""
    if about.get("state") in {"done", "cancelled", "failed"}:
        about.setdefault("finished_at", timezone.now())
    advanced_at = None if minutes_ago is None else timezone.now() - minutes_ago * MINUTE
    return Job.objects.create(
        kind=kind,
        key=key,
        installation_id=installation,
        priority=2 if kind == READ else 0,
        **{"advanced_at": advanced_at, **about},
    )


def held(key: str, *, lease: timedelta = MINUTE, **about: Any) -> Job:
    """A job that a task named `theirs` holds, or held."""
    about = {"leased_by": "theirs", "claim_number": 3, **about}
    return make(key, state="running", lease_until=timezone.now() + lease, **about)


def claimed(count: int = 10) -> list[str]:
    """The keys of those that workers claim, one after the other, until there is none."""
    found = (claim_next(task_id="mine") for _ in range(count))
    return [job.key for job in found if job is not None]


def test_a_job_is_claimed_with_a_lease(ran: list[str]) -> None:
    make("a", reason="busy")
    job = claim_next(task_id="mine")
    assert job is not None
    assert (job.state, job.leased_by, job.claim_number, job.reason) == ("running", "mine", 1, "")
    assert job.lease_until is not None
    assert abs(job.lease_until - timezone.now() - LEASE) < timedelta(seconds=5)
    assert (job.was_dropped, job.attempts) == (False, 0)


def test_a_job_began_when_it_was_first_claimed() -> None:
    make("a")
    first = claim_next(task_id="mine")
    assert first is not None
    first.claim.put_off(after=timedelta(), reason="")
    again = claim_next(task_id="mine")
    assert again is not None
    assert first.started_at == again.started_at is not None


def test_two_of_each_installation_are_claimed_those_first_that_waited_longest() -> None:
    for minutes in range(1, 6):
        make(f"acme {minutes}", minutes_ago=minutes)
    make("beta", installation=BETA, minutes_ago=4)
    assert claimed() == ["acme 5", "acme 4", "beta"]


def test_what_never_advanced_comes_before_all_others() -> None:
    make("long ago", minutes_ago=500)
    make("never", minutes_ago=None)
    assert claimed() == ["never", "long ago"]


def test_the_more_urgent_kind_comes_first_and_has_places_of_its_own() -> None:
    make("read", minutes_ago=500)
    for key in ("list 1", "list 2"):
        make(key, kind=LIST, minutes_ago=1)
    assert claimed() == ["list 1", "read"]


@pytest.mark.parametrize(
    "about",
    [
        {"state": "running", "lease_until": timezone.now() + timedelta(days=1)},
        {"reason": "busy", "not_before": timezone.now() + timedelta(days=1)},
    ],
    ids=["at work", "waiting for its turn at GitHub"],
)
def test_a_place_is_taken_by_what_is_at_work_or_waits_for_its_turn(about: dict[str, Any]) -> None:
    make("takes a place", **about)
    for minutes in (1, 2, 3):
        make(f"{minutes}", minutes_ago=minutes)
    assert claimed() == ["3"]


def test_what_waited_for_its_turn_at_github_goes_on_in_its_own_place() -> None:
    make("busy", reason="busy", minutes_ago=1)
    held("other", minutes_ago=1)
    make("long ago", minutes_ago=500)
    assert claimed() == ["busy"]


def test_a_job_is_not_claimed_before_its_time() -> None:
    job = make("a", not_before=timezone.now() + MINUTE)
    assert claimed() == []
    Job.objects.update(not_before=Now())
    assert claimed() == [job.key]


@pytest.mark.parametrize("state", ["paused", "done", "cancelled", "failed"])
def test_only_what_waits_is_claimed(state: str) -> None:
    job = make("a", state=state)
    assert claimed() == []
    assert claim(job.pk, task_id="mine") is None


def test_a_job_without_an_installation_and_one_by_name_are_claimed_too() -> None:
    make("the App's own", installation=None)
    job = make("by name")
    found = claim(job.pk, task_id="mine")
    assert found is not None
    assert claimed() == ["the App's own"]
    assert claim(0, task_id="mine") is None


def test_of_many_jobs_without_an_installation_the_urgent_and_the_oldest_come_first() -> None:
    registry.register(JobKind(name="write", priority=0, run=lambda job, deadline_s: None))  # the last by its name
    now = timezone.now()
    # Neither the first nor the last hundred, in whatever order the table is read.
    waiting = [
        Job(kind=READ, key=str(number), priority=2, advanced_at=now - min(number, 301 - number) * MINUTE)
        for number in range(300)
    ]
    waiting.insert(150, Job(kind="write", key="urgent", priority=0, advanced_at=now))
    Job.objects.bulk_create(waiting)
    assert claimed(2) == ["urgent", "150"]


def test_a_job_that_a_worker_holds_is_left_to_it() -> None:
    job = held("a")
    assert claimed() == []
    assert claim(job.pk, task_id="mine") is None


def test_a_job_whose_lease_ran_out_is_taken_over_and_that_is_a_failure() -> None:
    held("a", lease=OVER)
    job = claim_next(task_id="mine")
    assert job is not None
    assert (job.was_dropped, job.attempts, job.claim_number) == (True, 1, 4)


@pytest.mark.parametrize(
    ("task_id", "is_redelivered", "is_taken"), [("theirs", True, True), ("theirs", False, False), ("mine", True, False)]
)
def test_only_its_own_message_redelivered_takes_a_job_over_before_the_lease_runs_out(
    task_id: str, is_redelivered: bool, is_taken: bool
) -> None:
    held("a")
    assert (claim_next(task_id=task_id, is_redelivered=is_redelivered) is not None) == is_taken


def test_a_worker_that_lost_its_claim_changes_nothing() -> None:
    make("a")
    first = claim_next(task_id="mine")
    assert first is not None
    Job.objects.update(lease_until=timezone.now() + OVER)
    assert claim_next(task_id="another") is not None
    assert first.claim.end(Job.State.DONE) == 0
    with pytest.raises(ClaimLostError):
        first.hold(cursor="further")
    assert Job.objects.get().cursor == ""


@pytest.mark.parametrize("change", ["pause", "cancel"])
def test_a_person_who_pauses_or_cancels_a_job_takes_it_from_its_worker(change: str) -> None:
    make("a")
    job = claim_next(task_id="mine")
    assert job is not None
    assert getattr(Job.objects.all(), change)() == 1
    with pytest.raises(ClaimLostError):
        job.hold()


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_each_gets_another_job() -> None:
    for minutes in range(1, 6):
        make(f"{minutes}", minutes_ago=minutes)
    found = side_by_side(*[lambda: claim_next(task_id="one of them")] * 8)
    assert sorted(job.key for job in found if job is not None) == ["4", "5"], "no place is given away twice"


@pytest.mark.django_db(transaction=True)
def test_a_place_that_is_being_taken_is_not_free_for_an_older_job() -> None:
    make("1", minutes_ago=1)
    make("2", minutes_ago=2)

    def claim_for_another() -> Job | None:
        try:
            return claim_next(task_id="another")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            assert claimed(2) == ["2", "1"]
            threads.submit(make_and_close, "9").result()
            other = threads.submit(claim_for_another)
            with suppress(TimeoutError):
                other.result(timeout=1)
        assert other.result() is None


def make_and_close(key: str) -> None:
    try:
        make(key, minutes_ago=9)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_job_that_somebody_changes_just_now_is_not_waited_for() -> None:
    make("first", minutes_ago=9)
    make("second", minutes_ago=8)
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as changing:
        changing.execute("SELECT id FROM jobs_job WHERE key = 'first' FOR UPDATE")
        try:
            assert claimed(1) == ["second"]
        finally:
            other.close()


def test_a_job_that_is_open_already_is_not_opened_twice_and_one_that_ended_goes_on() -> None:
    def open_it() -> int:
        return Job.objects.open(LIST, priority=0, installations={"7": ACME}, page_size=25)

    assert [open_it(), open_it()] == [1, 0]
    job = claim_next(task_id="mine")
    assert job is not None
    assert open_it() == 0
    job.claim.end(Job.State.DONE, page_size=3)
    assert open_it() == 1
    again = Job.objects.get()
    assert (again.state, again.page_size, again.finished_at) == ("waiting", 3, None), "it keeps what it learned"


@pytest.fixture
def many() -> None:
    """Five thousand of one installation that are unfinished, half of them due, among twenty thousand that are not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job"
            " (kind, key, installation_id, priority, skipped, state, finished_at, advanced_at, not_before)"
            " SELECT %s, i, %s, 2, '[]', state, CASE state WHEN 'done' THEN now() END,"
            "  now() - i * interval '1 s', now() + mod(i, 10) * interval '1 h'"
            " FROM (SELECT i, CASE WHEN mod(i, 5) = 0 THEN 'waiting' ELSE 'done' END AS state"
            "  FROM generate_series(1, 25000) AS i) made",
            [READ, ACME],
        )
        # Weigh rows as if there were a hundred times as many: reading some thousands from end to end is no mistake.
        cursor.execute("SET LOCAL cpu_tuple_cost = 1")


@pytest.mark.usefixtures("many")
def test_a_claim_reads_by_index_however_many_wait() -> None:
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        assert claims.count_due() == 2
        assert claim_next(task_id="mine") is not None
    for plan in (found for found in plans if "job_unfinished" in found):
        assert "job_at_work" in plan
        assert "Seq Scan on jobs_job" not in plan
    assert any("job_unfinished" in plan for plan in plans)
