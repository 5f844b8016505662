"""The "Celery Background Tasks Guide", section by section, on a real worker: its names do what it says of them."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from celery.result import AsyncResult
from django.db import connection

from apps.activity.models import Issue, PullRequest, RepositoryAccess
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation import fan_out
from apps.integrations.reconciliation.run_endings import conclude
from apps.integrations.reconciliation.schedule import database_time, is_of_night, next_hour
from apps.integrations.tasks import (
    schedule_team_sync,
    sync_all_github_data,
    sync_github_data,
)
from apps.jobs.models import Job, PlanTime
from apps.jobs.tasks import dispatch
from apps.metrics.tasks import calculate_metrics, update_metrics
from apps.monitoring.models import StatusCheck
from apps.monitoring.tasks import check_status
from apps.notifications.models import Notification
from apps.notifications.tasks import send_email, send_notification
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser
from tests.fake_github.generated import Size
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, Clock, forget_everything
from tests.integrations.backfill.installed import ACCOUNT, install, reach
from tests.integrations.backfill.real_worker import RealWorker, end_all_tasks, working
from tests.integrations.reconciliation.runs.conftest import make_team
from tests.integrations.reconciliation.runs.run_workers import expire_leases
from tests.webhooks.conftest import eventually
from tformance.celery_settings import QUEUES

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof, pytest.mark.timeout(900)]
LONGEST_S = 120
PACE_S = 1.0
NOBODY = 10**6


@pytest.fixture(scope="module")
def worker(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """One worker with one child for every queue; it reads a fake GitHub and writes mail to files."""
    folder = tmp_path_factory.mktemp("guide")
    forget_everything()
    with FakeGitHub(clock=Clock()) as fake:
        fake.world.install(ACME)
        fake.world.add("api", installation_id=ACME, repository_id=API, size=Size(pull_requests=3, issues=2))
        with working(
            fake,
            queues=",".join(QUEUES),
            log=folder / "worker.log",
            EMAIL_URL=f"file:///{folder}/mail",
            BACKFILL_DAYS="4000",
        ) as started:
            yield started
            sys.stdout.write(started.log.read_text())  # shown where a test failed
    forget_everything()


@pytest.fixture
def acme(worker: RealWorker, settings: Any) -> Iterator[Team]:
    """Team acme, whose one repository the App reaches."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    install()
    reach()
    yield make_team("acme", ACCOUNT)
    end_all_tasks()


@pytest.fixture
def ana(acme: Team) -> CustomUser:
    """An admin of the team, with an address."""
    user = CustomUser.objects.create_user("ana", email="ana@example.com")
    TeamAccess.objects.create(team=acme, user=user, role=TeamAccess.Role.ADMIN)
    return user


def beat_until(is_true: Callable[[], Any]) -> None:
    """Do what beat does every few seconds until this is true."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(PACE_S):
            PlanTime.objects.all().delete()  # as if the interval of each plan were over
            dispatch.delay()
        connection.close()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        eventually(is_true, within_s=LONGEST_S)
    except AssertionError as error:
        error.add_note(described_state())
        raise
    finally:
        ended.set()
        thread.join()


SESSIONS = """
SELECT pid, state, wait_event, pg_blocking_pids(pid) AS blocked_by, now() - xact_start AS in_transaction_for,
    left(query, 200) AS query
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def described_state() -> str:
    """Return the rows of runs and jobs and what the sessions of the server do, for whoever reads of a failure."""
    rows = [row for model in (SyncLog, TeamSync, RepositorySync, Job) for row in model.objects.values()]
    with connection.cursor() as cursor:
        cursor.execute(SESSIONS)
        names = [column.name for column in cursor.description]
        sessions = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return "\n".join(map(str, [*rows, *sessions]))


def status_of(team: Team) -> str:
    team.refresh_from_db()
    return str(team.last_sync_status)


def is_logged(worker: RealWorker, *words: str) -> bool:
    return any(all(word in line for word in words) for line in worker.log.read_text().splitlines())


# --- Synchronising with GitHub ---------------------------------------------------------------------------------------


def test_the_daily_sync_reads_what_each_team_tracks(acme: Team) -> None:
    assert status_of(acme) == "never"
    sync_all_github_data.delay()
    beat_until(lambda: SyncLog.objects.filter(status="completed").exists())
    run = SyncLog.objects.get()
    assert (run.sync_id.partition(":")[0], run.error) == ("nightly", "")
    assert (status_of(acme), acme.last_sync_error) == ("success", "")
    assert acme.last_synced_at is not None
    assert (PullRequest.objects.count(), Issue.objects.filter(deleted_at=None).count()) == (3, 2)


def test_a_sync_of_one_team_ends_with_on_failure_when_nothing_of_it_is_reached(acme: Team, ana: CustomUser) -> None:
    RepositoryAccess.objects.update(has_access=False)
    sync_github_data.delay(acme.pk)
    beat_until(lambda: status_of(acme) == "failed")
    assert "No installation of the App reaches" in acme.last_sync_error
    eventually(lambda: SyncLog.objects.filter(status="failed", team=acme).exists() or conclude() < 0)
    assert Notification.objects.filter(user=ana).count() == 1


@pytest.mark.parametrize(("frequency", "has_own_run"), [("hourly", True), ("daily", False), ("off", False)])
def test_a_team_is_scheduled_as_often_as_its_frequency_says(acme: Team, frequency: str, has_own_run: bool) -> None:
    hour = next_hour(database_time())
    Team.objects.filter(pk=acme.pk).update(sync_frequency=frequency)
    schedule_team_sync.delay(acme.pk)
    send_notification.delay(CustomUser.objects.create_user("last").pk, "the task before is over")
    eventually(Notification.objects.exists, within_s=LONGEST_S)
    created = [run.sync_id for run in SyncLog.objects.all()]
    assert created == ([f"team:acme:{hour.key}"] if has_own_run and not is_of_night(hour) else [])


# --- Figures ---------------------------------------------------------------------------------------------------------


def test_the_figures_of_a_team_are_a_result_that_can_be_waited_for(acme: Team) -> None:
    found = calculate_metrics.delay(acme.pk).get(timeout=LONGEST_S, interval=0.1)
    assert (found["team"], found["total_commits"], found["total_prs"]) == ("acme", 0, 0)


def test_the_hourly_update_computes_the_figures_of_every_team(acme: Team) -> None:
    update_metrics.delay()
    eventually(lambda: results_of("apps.metrics.tasks.calculate_metrics"), within_s=LONGEST_S)
    assert results_of("apps.metrics.tasks.calculate_metrics") == [(str((acme.pk,)), "SUCCESS")]


def results_of(task: str) -> list[tuple[str, str]]:
    from django_celery_results.models import TaskResult  # noqa: PLC0415  a table, and only this section reads it

    rows = TaskResult.objects.filter(task_name=task).values_list("task_args", "status")
    return [(args.strip('"'), status) for args, status in rows]


# --- Monitoring and notifications ------------------------------------------------------------------------------------


def test_the_frequent_check_stores_what_it_found(acme: Team) -> None:
    check_status.delay()
    eventually(StatusCheck.objects.exists, within_s=LONGEST_S)


def test_a_user_is_notified_and_gets_an_email(worker: RealWorker, ana: CustomUser) -> None:
    send_notification.delay(ana.pk, "Your history is here.")
    send_email.delay(ana.pk, "message", {"message": "Your history is here."})
    eventually(lambda: [str(note) for note in ana.notifications.unread()] == ["Your history is here."])
    folder = worker.log.parent / "mail"
    eventually(lambda: any("Your history is here." in letter.read_text() for letter in folder.glob("*")))


# --- Errors and time limits ------------------------------------------------------------------------------------------


def test_an_expected_error_is_logged_and_an_unexpected_one_is_raised_too(worker: RealWorker, acme: Team) -> None:
    send_email.delay(NOBODY, "message", {"message": "Hello"})
    failed: AsyncResult[Any] = calculate_metrics.delay(NOBODY)
    with pytest.raises(Exception, match="Team matching query does not exist"):
        failed.get(timeout=LONGEST_S, interval=0.1)
    eventually(lambda: is_logged(worker, "recipient_is_gone", str(NOBODY)))
    eventually(lambda: is_logged(worker, "calculate_metrics", "DoesNotExist"))
    assert calculate_metrics.delay(acme.pk).get(timeout=LONGEST_S, interval=0.1)["team"] == "acme"


def test_a_lost_connection_is_retried_three_times(acme: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def hangs_up(*_: object, **__: object) -> bool:
        tries.append(len(tries))
        raise ConnectionResetError("hung up")

    monkeypatch.setattr(fan_out, "fan_out_team", hangs_up)
    with pytest.raises(ConnectionResetError):
        sync_github_data.apply(args=[acme.pk]).get()
    assert (len(tries), sync_github_data.max_retries) == (4, 3)
    monkeypatch.undo()
    eventually(lambda: TeamSync.objects.get().status == "running", within_s=LONGEST_S)


def test_a_task_that_meets_its_soft_limit_ends_and_its_process_works_on(worker: RealWorker, acme: Team) -> None:
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute("LOCK TABLE integrations_teamsync IN ACCESS EXCLUSIVE MODE")
        sync_github_data.apply_async(args=[acme.pk], soft_time_limit=2, time_limit=60)
        eventually(lambda: is_logged(worker, "sync_github_data", "SoftTimeLimitExceeded"), within_s=LONGEST_S)
    assert (SyncLog.objects.get().is_fanned_out, TeamSync.objects.count()) == (False, 0)
    children = [child.pid for child in worker.children()]
    expire_leases()
    sync_github_data.delay(acme.pk)
    beat_until(lambda: status_of(acme) == "success")
    assert [child.pid for child in worker.children()] == children
