"""Every value of Celery and of beat's schedule, and the failure it prevents (docs/guarantees.md)."""

from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab, schedule

from apps.webhooks.tasks import process_deliveries
from tformance.celery import app
from tformance.celery_settings import DAY, QUEUES, SCHEDULE, settings_of_role


def settings_of(role: str) -> dict[str, Any]:
    settings = settings_of_role(role=role, var=Path("/nowhere"))
    return {name.removeprefix("CELERY_").lower(): value for name, value in settings.items()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", True),
        ("task_reject_on_worker_lost", True),
        ("task_ignore_result", True),
        ("result_extended", True),
        ("task_serializer", "json"),
        ("accept_content", ["json"]),
        ("result_accept_content", ["json"]),
        ("task_create_missing_queues", False),
        ("worker_prefetch_multiplier", 1),
        ("worker_enable_remote_control", False),
        ("worker_send_task_events", False),
        ("worker_cancel_long_running_tasks_on_connection_loss", False),
        ("worker_soft_shutdown_timeout", 20),
        ("worker_eta_task_limit", 100),
        ("worker_max_tasks_per_child", 1000),
        ("broker_connection_retry_on_startup", True),
        ("enable_utc", True),
    ],
)
def test_the_running_application_has_the_pinned_value(name: str, value: object) -> None:
    assert app.conf[name] == value


def test_a_task_is_stopped_before_its_message_is_delivered_again() -> None:
    visibility = app.conf.broker_transport_options["visibility_timeout"]
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit < visibility


def test_a_worker_notices_a_connection_that_died_without_a_word() -> None:
    options = settings_of("worker")["broker_transport_options"]
    assert options["socket_timeout"] == 5
    assert options["socket_connect_timeout"] == 2
    assert options["health_check_interval"] == 3
    assert options["socket_keepalive"] is True


def test_lost_messages_are_restored_soon_not_after_a_hundred_seconds() -> None:
    options = settings_of("worker")["broker_transport_options"]
    assert options["unacked_restore_interval"] * options["unacked_restore_throttle"] == 5


def test_a_web_process_tries_once_and_briefly_to_send_a_wakeup() -> None:
    settings = settings_of("web")
    assert settings["task_publish_retry"] is False
    options = settings["broker_transport_options"]
    assert options["max_retries"] == 0
    assert options["socket_timeout"] + options["socket_connect_timeout"] <= 1.5


def test_all_roles_agree_on_when_a_message_is_lost() -> None:
    """The shortest visibility timeout on a broker wins over all others."""
    lost_after = {
        settings_of(role)["broker_transport_options"]["visibility_timeout"] for role in ("web", "worker", "beat")
    }
    assert lost_after == {300}


def test_each_queue_is_one_list_of_its_own() -> None:
    queues = app.amqp.queues
    assert set(queues) == set(QUEUES)
    assert {queue.routing_key for queue in queues.values()} == set(QUEUES)


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("apps.webhooks.tasks.process_deliveries", "live"),
        ("apps.webhooks.tasks.process_slow_deliveries", "maintenance"),
        ("apps.metrics.tasks.recalculate_stale", "figures"),
        ("apps.metrics.tasks.update_metrics", "figures"),
        ("apps.integrations.tasks.sync_repository", "backfill"),
        ("apps.jobs.tasks.run_jobs", "backfill"),
        ("apps.jobs.tasks.dispatch", "live"),
        ("apps.integrations.tasks.sync_all_github_data", "maintenance"),
        ("apps.integrations.tasks.sync_github_data", "maintenance"),
        ("apps.integrations.tasks.schedule_team_sync", "maintenance"),
        ("apps.integrations.tasks.conclude_team_sync", "maintenance"),
        ("apps.integrations.tasks.on_success", "maintenance"),
        ("apps.integrations.tasks.on_failure", "maintenance"),
        ("apps.notifications.tasks.send_email", "maintenance"),
        ("apps.monitoring.tasks.check_status", "maintenance"),
        ("apps.monitoring.tasks.clean_up", "maintenance"),
        ("celery.backend_cleanup", "maintenance"),
    ],
)
def test_a_task_goes_to_the_queue_of_its_kind(task: str, queue: str) -> None:
    assert app.amqp.router.route({}, task)["queue"].name == queue


def test_no_task_is_put_off_for_longer_than_a_minute() -> None:
    app.loader.import_default_modules()
    retried = [task for name, task in app.tasks.items() if name.startswith("apps.") and hasattr(task, "autoretry_for")]
    assert "apps.notifications.tasks.send_email" in {task.name for task in retried}
    assert {task.name for task in retried if not task.retry_backoff or task.retry_backoff_max > 60} == set()


def test_every_task_of_ours_has_a_queue_that_exists() -> None:
    ours = [name for name in app.tasks if name.startswith("apps.")]
    assert ours
    for name in ours:
        wanted = {"queue": app.tasks[name].queue} if getattr(app.tasks[name], "queue", None) else {}
        assert app.amqp.router.route(wanted, name)["queue"].name in QUEUES


def test_a_message_really_lands_in_its_queue() -> None:
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        for name in QUEUES:  # other tests ring too
            channel.queue_purge(name)
        process_deliveries.apply_async(args=([],), connection=connection)
        assert [channel._size(name) for name in QUEUES] == [1, 0, 0, 0]
        channel.queue_purge("live")


entries = pytest.mark.parametrize("entry", SCHEDULE.values(), ids=SCHEDULE.keys())


@entries
def test_an_entry_names_a_task_that_a_worker_knows(entry: dict[str, Any]) -> None:
    app.loader.import_default_modules()
    assert entry["task"] in app.tasks


@entries
def test_an_entry_that_could_not_run_in_its_interval_is_void(entry: dict[str, Any]) -> None:
    when = entry["schedule"]
    interval = DAY if isinstance(when, crontab) else when.run_every.total_seconds()
    assert isinstance(when, schedule | crontab)
    assert 0 < entry["options"]["expires"] <= interval


@entries
def test_an_entry_has_a_limit_and_a_soft_limit_before_it(entry: dict[str, Any]) -> None:
    soft, hard = entry["options"]["soft_time_limit"], entry["options"]["time_limit"]
    assert 0 < soft < hard <= app.conf.task_time_limit, "leases are made for what all tasks keep to"


def test_every_task_has_a_limit_and_a_soft_limit_however_it_is_started() -> None:
    app.loader.import_default_modules()
    for name, task in app.tasks.items():
        soft = task.soft_time_limit or app.conf.task_soft_time_limit
        hard = task.time_limit or app.conf.task_time_limit
        assert 0 < soft < hard <= 60, name


def test_the_inbox_is_looked_into_every_few_seconds() -> None:
    dispatch = next(entry for entry in SCHEDULE.values() if entry["task"] == "apps.jobs.tasks.dispatch")
    assert dispatch["schedule"].run_every.total_seconds() == 5


def test_beat_runs_this_schedule_and_no_other() -> None:
    assert app.conf.beat_schedule == SCHEDULE
