"""A real beat sends each entry of the schedule, and what it sends has its effect."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from celery.beat import PersistentScheduler
from celery.schedules import crontab
from django.utils import timezone
from django_celery_results.models import TaskResult

from apps.activity.models import Change, Installation, PullRequest
from apps.integrations.models import MissedDelivery, RefreshFailure, SyncLog
from apps.integrations.reconciliation.fan_out import fan_out_run
from apps.integrations.reconciliation.schedule import start_for_team
from apps.jobs.models import Job
from apps.jobs.registry import kinds, plans
from apps.monitoring.models import StatusCheck
from apps.notifications.channels import add_channel
from apps.notifications.digests import due_since
from apps.notifications.models import Channel, Topic
from apps.teams.models import Team
from apps.users.models import ApiToken, CustomUser
from apps.webhooks.models import Delivery, DeliveryBody
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, WEB, Clock, access_to, forget_everything
from tests.integrations.backfill.installed import ACCOUNT, install, reach
from tests.integrations.reconciliation.runs.conftest import OLD, make_team
from tests.integrations.reconciliation.runs.run_workers import compare
from tests.webhooks.conftest import eventually
from tests.webhooks.test_claiming import keep
from tformance.celery import app
from tformance.celery_settings import QUEUES, SCHEDULE
from tformance.local import programs

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=400)
NAMES = {
    "daily-github-sync": ("apps.integrations.tasks.sync_all_github_data", crontab(hour="2", minute="0")),
    "hourly-metrics-update": ("apps.metrics.tasks.update_metrics", crontab(minute="0")),
    "frequent-check": ("apps.monitoring.tasks.check_status", crontab(minute="*/15")),
}


def messages() -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
    """Take what is in the queues: task, arguments and keyword arguments of each message."""
    with current_app.connection_for_read() as broker:
        for queue in QUEUES:
            while (taken := current_app.amqp.queues[queue](broker.default_channel).get(no_ack=True)) is not None:
                args, kwargs, _ = taken.payload
                yield taken.headers["task"], args, kwargs


def sent_names() -> list[tuple[str, list[Any]]]:
    return [(task.rpartition(".")[2], args) for task, args, _ in messages()]


def schedule_of_two_days_ago(path: Path) -> None:
    """Write the schedule as a beat leaves it that last sent each entry two days ago: now every entry is due."""
    scheduler = PersistentScheduler(app, schedule_filename=str(path))
    for entry in scheduler.schedule.values():
        entry.last_run_at = app.now() - timedelta(days=2)
    scheduler.close()


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> "Sent":
    """Arguments of each task that a real beat sent which had been away for two days."""
    schedule = tmp_path_factory.mktemp("beat") / "schedule"
    schedule_of_two_days_ago(schedule)
    app.loader.import_default_modules()
    list(messages())
    found: dict[str, tuple[list[Any], dict[str, Any]]] = {}
    expected = {entry["task"] for entry in SCHEDULE.values()}

    def is_all_sent() -> bool:
        found.update({task: (args, kwargs) for task, args, kwargs in messages() if not kwargs})
        return expected <= set(found)

    beat = subprocess.Popen(
        [*programs.beat().command, "--schedule", str(schedule)],
        env={**os.environ, "TFORMANCE_ROLE": "beat"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(is_all_sent, within_s=240)
    finally:
        beat.terminate()
        beat.wait(30)
    return found


@pytest.fixture(autouse=True)
def _empty_queues() -> Iterator[None]:
    list(messages())
    yield
    list(messages())


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    """GitHub, with the App installed on one account and this instance connected to it."""
    forget_everything()
    with FakeGitHub(clock=Clock()) as server:
        server.world.install(ACME)
        server.world.add("api", installation_id=ACME, repository_id=API)
        yield server
    forget_everything()


@pytest.fixture
def credentials(settings: Any) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()


@pytest.fixture
def acme(credentials: None) -> Team:
    install()
    reach()
    reach("acme/web", WEB)
    return make_team("acme", ACCOUNT)


def a_delivery_that_nobody_was_notified_of() -> Callable[[], bool]:
    (row_id,) = keep()
    Delivery.objects.update(notified_at=OLD)
    return lambda: ("process_deliveries", [[row_id]]) in sent_names()


def a_change_that_nobody_was_notified_of() -> Callable[[], bool]:
    Change.objects.create(kind="pull_request", key="1:1")
    Change.objects.update(recorded_at=OLD)
    return lambda: ("recalculate_stale", []) in sent_names()


def an_installation_a_log_and_a_pull_request_to_be_read() -> Callable[[], bool]:
    Installation.objects.update(listed_at=None)
    PullRequest.objects.create(
        repository_id=API, number=1, head_sha="1" * 40, updated_at=timezone.now() - timedelta(minutes=1)
    )
    kinds = {
        "compare_figures",
        "find_alerts",
        "find_installations",
        "list_installation",
        "refresh_pull_requests",
        "scan_delivery_log",
    }
    return lambda: set(Job.objects.values_list("kind", flat=True)) == kinds and ("run_jobs", []) in sent_names()


def a_digest_that_is_due() -> Callable[[], bool]:
    """A channel that chose the digest; from Thursday on, it is due when the next week begins."""
    team = Team.objects.get()
    channel = add_channel(team, name="#figures", kind="slack", url="https://hooks.example.com/x", topics=[Topic.DIGEST])
    Channel.objects.filter(pk=channel.pk).update(created_at=timezone.now() - LONG_AGO)
    is_due = due_since(team, now=timezone.now()) is not None
    return lambda: Job.objects.filter(kind="write_digest").exists() is is_due


def a_night_that_no_beat_saw() -> Callable[[], bool]:
    return lambda: SyncLog.objects.get().sync_id.startswith("nightly:")


def a_team_at_two_in_the_night() -> Callable[[], bool]:
    return lambda: ("sync_github_data", [Team.objects.get().pk, SyncLog.objects.get().sync_id]) in sent_names()


def a_run_whose_repositories_are_through() -> Callable[[], bool]:
    run = start_for_team(Team.objects.get().pk).sync
    fan_out_run(run.sync_id)
    SyncLog.objects.update(is_fanned_out=True)
    run.teams.update(status="success", finished_at=timezone.now())
    compare()
    return lambda: SyncLog.objects.get(pk=run.pk).status == "completed"


def a_run_of_last_year() -> Callable[[], bool]:
    at = timezone.now() - LONG_AGO
    SyncLog.objects.create(sync_id="old", cause="manual", status="completed", created_at=at, finished_at=at)
    return lambda: not SyncLog.objects.exists()


def an_attempt_of_last_year() -> Callable[[], bool]:
    RefreshFailure.objects.create(
        repository_id=API, number=1, head_sha="1", attempts=8, tried_at=timezone.now() - LONG_AGO
    )
    return lambda: not RefreshFailure.objects.exists()


def a_delivery_missed_last_year() -> Callable[[], bool]:
    at = timezone.now() - LONG_AGO
    about = {"delivered_at": at, "noted_at": at, "kept_at": at, "state": "kept", "recovery_source": "fetched"}
    MissedDelivery.objects.create(
        hook_id=1, guid=uuid.uuid4(), log_id=1, status_code=503, event="push", has_effect=True, **about
    )
    return lambda: not MissedDelivery.objects.exists()


def a_body_of_last_year() -> Callable[[], bool]:
    keep(state="processed", received_at=timezone.now() - LONG_AGO, finished_at=timezone.now() - LONG_AGO)
    assert DeliveryBody.objects.exists()
    return lambda: Delivery.objects.exists() and not DeliveryBody.objects.exists()


def a_token_that_ended_last_year() -> Callable[[], bool]:
    ApiToken.objects.issue(user=CustomUser.objects.create_user("ana"), expires_at=timezone.now() - LONG_AGO)
    return lambda: not ApiToken.objects.exists()


def a_result_of_last_year() -> Callable[[], bool]:
    TaskResult.objects.create(task_id="old", status="SUCCESS")
    TaskResult.objects.update(date_done=timezone.now() - LONG_AGO)
    return lambda: not TaskResult.objects.exists()


def a_team_with_figures() -> Callable[[], bool]:
    return lambda: ("process_team", [Team.objects.get().pk]) in sent_names()


def an_instance_that_was_never_looked_at() -> Callable[[], bool]:
    return StatusCheck.objects.exists


def what_ended_last_year() -> Callable[[], bool]:
    old = (a_body_of_last_year, a_token_that_ended_last_year, a_run_of_last_year, an_attempt_of_last_year)
    are_gone = [make() for make in (*old, a_delivery_missed_last_year)]
    return lambda: all(is_gone() for is_gone in are_gone)


EFFECTS: dict[str, Callable[[], Callable[[], bool]]] = {
    "dispatch": a_delivery_that_nobody_was_notified_of,
    "daily-github-sync": a_team_at_two_in_the_night,
    "hourly-metrics-update": a_team_with_figures,
    "frequent-check": an_instance_that_was_never_looked_at,
    "clean-up": what_ended_last_year,
    "celery.backend_cleanup": a_result_of_last_year,
}
EFFECTS_OF_PLANS: dict[str, Callable[[], Callable[[], bool]]] = {
    "deliveries": a_delivery_that_nobody_was_notified_of,
    "changes": a_change_that_nobody_was_notified_of,
    "jobs": an_installation_a_log_and_a_pull_request_to_be_read,
    "open_digests": a_digest_that_is_due,
    "open_due_runs": a_night_that_no_beat_saw,
    "conclude_runs": a_run_whose_repositories_are_through,
}
Sent = Mapping[str, tuple[list[Any], dict[str, Any]]]


def run(name: str, sent: Sent) -> None:
    """Run the task of an entry of the schedule as beat sent it."""
    task = SCHEDULE[name]["task"]
    args, kwargs = sent[task]
    app.tasks[task].apply(args=args, kwargs=kwargs, throw=True)


@pytest.mark.parametrize("name", EFFECTS)
def test_what_beat_sends_has_its_effect(name: str, sent: Sent, acme: Team) -> None:
    has_happened = EFFECTS[name]()
    run(name, sent)
    assert has_happened()


@pytest.mark.parametrize("name", EFFECTS_OF_PLANS)
def test_what_the_dispatcher_looks_for_has_its_effect(name: str, sent: Sent, acme: Team) -> None:
    has_happened = EFFECTS_OF_PLANS[name]()
    run("dispatch", sent)
    assert has_happened()


def test_installations_that_sent_no_webhook_are_found(
    sent: Sent, credentials: None, fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.github.auth.github", lambda: access_to(fake))
    run("dispatch", sent)
    app.tasks["apps.jobs.tasks.run_jobs"].apply(throw=True)
    assert [row.pk for row in Installation.objects.all()] == [ACME]


def test_each_entry_of_the_schedule_and_each_plan_is_tried_here() -> None:
    assert set(EFFECTS) == set(SCHEDULE)
    of_kinds = {kind.name for kind in kinds()}
    assert {plan.name for plan in plans()} - of_kinds == set(EFFECTS_OF_PLANS) - {"jobs"}


@pytest.mark.parametrize("name", NAMES)
def test_the_entries_of_the_guide_have_its_names_and_times(name: str) -> None:
    assert (SCHEDULE[name]["task"], SCHEDULE[name]["schedule"]) == NAMES[name]
