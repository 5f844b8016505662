"""Running jobs: one after the other until none is due; wake-ups carry nothing and may be lost."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import Error, OperationalError, connection, transaction
from django.utils import timezone

from apps.jobs import registry, runner, wakeups
from apps.jobs.claims import claim_next
from apps.jobs.models import Job
from apps.jobs.registry import JobKind
from apps.jobs.tasks import dispatch, run_jobs
from tests.fake_github.using import ACME
from tests.jobs.conftest import LIST, READ
from tests.jobs.test_claims import MINUTE, make
from tests.webhooks.proxies import refused_port

pytestmark = pytest.mark.django_db
QUEUE = "backfill"


def take_messages() -> int:
    """Take every wake-up from the queue; return how many there were."""
    count = 0
    with current_app.connection_for_read() as broker:
        queue: Any = current_app.amqp.queues[QUEUE](broker.default_channel)
        while (message := queue.get(no_ack=True)) is not None:
            count += message.headers["task"] == wakeups.RUN_TASK
    return count


@pytest.fixture(autouse=True)
def _empty_queue() -> Iterator[None]:
    take_messages()
    yield
    take_messages()


def register(run: Any) -> None:
    registry.register(JobKind(name=READ, priority=2, run=run))


def test_a_task_runs_what_is_due_until_nothing_is(ran: list[str]) -> None:
    for key in "abc":
        make(key)
    make("later", not_before=timezone.now() + MINUTE)
    assert run_jobs.apply().get() == 3
    assert sorted(ran) == ["a", "b", "c"]
    assert take_messages() == 0


def test_a_task_whose_time_is_over_wakes_another(ran: list[str]) -> None:
    make("a")
    make("b")
    assert runner.run_jobs(task_id="mine", is_redelivered=False, seconds=0.0) == 1
    assert take_messages() == 1


def test_planning_opens_jobs_and_wakes_as_many_workers_as_may_work() -> None:
    def plan(at_start: bool) -> int:
        return Job.objects.open(LIST, priority=0, installations={"7": ACME})

    registry.register(JobKind(name=LIST, priority=0, run=lambda job, deadline_s: None, plan=plan))
    for key in "abc":
        make(key)
    dispatch()
    assert take_messages() == 3, "two readings, and the listing"


def test_a_broker_that_is_away_costs_a_wake_up_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    make("a")
    with monkeypatch.context() as away:
        away.setattr(current_app.conf, "broker_write_url", f"redis://127.0.0.1:{refused_port()}/0")
        assert wakeups.enqueue_due() == 0
    assert wakeups.enqueue_due() == 1


def test_a_job_of_a_kind_that_a_later_version_knew_fails_in_words() -> None:
    make("a", kind="gone")
    job = Job.objects.get()
    Job.objects.update(state="running", lease_until=timezone.now() + MINUTE, claim_number=1)
    job.refresh_from_db()
    runner.run(job, deadline_s=0.0)
    job.refresh_from_db()
    assert (job.state, job.reason, job.error) == ("failed", "unknown_kind", "This version does not know gone.")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_leaves_the_job_due_in_a_moment() -> None:
    def gone(job: Job, deadline_s: float) -> None:
        raise OperationalError("the connection is closed")

    register(gone)
    make("a")
    with pytest.raises(OperationalError):
        runner.run_jobs(task_id="mine", is_redelivered=False)
    job = Job.objects.get()
    assert (job.state, job.reason, job.attempts) == ("waiting", "database", 0)
    assert timedelta() < job.not_before - timezone.now() <= timedelta(seconds=5)


SLOW = "SET LOCAL statement_timeout = 10; SELECT pg_sleep(5)"
REPEATED = "INSERT INTO jobs_plantime (name, due_at) VALUES ('a', now()), ('a', now())"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "code"),
    [("SELECT 1 / 0", "22012"), (SLOW, "57014"), (REPEATED, "23505")],
    ids=["data", "slow", "key"],
)
def test_a_statement_that_fails_spends_attempts_and_the_waits_grow(statement: str, code: str) -> None:
    def fail(job: Job, deadline_s: float) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            job.hold(attempts=0)  # as a job does that advances; it is rolled back
            cursor.execute(statement)

    register(fail)
    make("a")
    waits = []
    for number in (1, 2, 3):
        Job.objects.update(not_before=timezone.now())
        with pytest.raises(Error):
            runner.run_jobs(task_id="mine", is_redelivered=False)
        job = Job.objects.get()
        assert (job.state, job.reason, job.attempts) == ("waiting", "statement_failed", number)
        assert job.error.startswith(code)
        waits.append((job.not_before - timezone.now()).total_seconds())
    assert 3 < waits[0] < 7
    assert waits[0] * 2 < waits[1] < waits[2] / 2


def test_a_worker_that_lost_its_claim_goes_on_with_the_next_job(ran: list[str]) -> None:
    def lose(job: Job, deadline_s: float) -> None:
        ran.append(job.key)
        Job.objects.filter(pk=job.pk).cancel()
        job.hold()

    register(lose)
    make("a", minutes_ago=2)
    make("b", minutes_ago=1)
    assert run_jobs.apply().get() == 2
    assert ran == ["a", "b"]


def test_the_job_that_the_rate_limit_names_next_is_due_at_once() -> None:
    job = make("a", reason="busy", not_before=timezone.now() + MINUTE)
    assert wakeups.wake_next_waiter(job.subject) == 1
    assert take_messages() == 1
    assert claim_next(task_id="mine") is not None


@pytest.mark.parametrize("reason", ["spent", ""])
def test_only_what_waits_for_its_turn_is_named_next(reason: str) -> None:
    job = make("a", reason=reason, not_before=timezone.now() + MINUTE)
    assert wakeups.wake_next_waiter(job.subject) == 0


@pytest.mark.parametrize("subject", [None, "", "11", "listing 7", "job x", "job 0"])
def test_the_subjects_of_others_name_no_job(subject: str | None) -> None:
    make("a", reason="busy")
    assert wakeups.wake_next_waiter(subject) == 0
