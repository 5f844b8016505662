"""Settings of Celery and the schedule of beat: a lost, repeated or delayed message never loses or repeats work.

Each value has its reason in the failure it prevents; tests/runtime/test_celery_settings.py holds them. A scheduled
message that could not run within its interval expires; the next one follows. Each has a soft limit, at which its task
may still clean up, and a limit a little later, at which its process is killed.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from celery.schedules import BaseSchedule, crontab, schedule
from kombu import Exchange, Queue

QUEUES = ("live", "figures", "backfill", "maintenance")

# First match wins. A task belongs to the queue of its module unless it is housekeeping.
ROUTES = (
    [  # a list of pairs is one router, whose order counts
        ("apps.webhooks.tasks.process_slow*", {"queue": "maintenance"}),  # up to 45 s each: too long among live work
        ("apps.webhooks.*", {"queue": "live"}),
        ("apps.metrics.*", {"queue": "figures"}),
        # Looking for what is due takes milliseconds; running jobs takes as long as GitHub does.
        ("apps.jobs.tasks.dispatch", {"queue": "live"}),
        ("apps.jobs.*", {"queue": "backfill"}),
        ("apps.integrations.tasks.sync_repository", {"queue": "backfill"}),  # alone asks GitHub
        ("*", {"queue": "maintenance"}),
    ],
)

PATIENT = {
    "visibility_timeout": 300,  # above every time limit, or a task would run twice at once
    "socket_timeout": 5,  # a half-open connection is noticed; without it a worker receives nothing forever
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 3,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
}
# Nobody waits for a wake-up: a web process tries once, briefly, and leaves the rest to the dispatcher.
HASTY = PATIENT | {"max_retries": 0, "socket_timeout": 1, "socket_connect_timeout": 0.5}


def settings_of_role(*, role: str, var: Path) -> dict[str, Any]:
    """Return Django's settings of Celery for this kind of process."""
    settings = _everywhere() | _worker() | _beat(var)
    if role == "web":
        settings |= {
            "task_publish_retry": False,
            "broker_transport_options": HASTY,
            "broker_connection_timeout": 1,
            "broker_pool_limit": 64,  # not fewer than threads, or one waits for another's broken connection
        }
    return {f"CELERY_{name.upper()}": value for name, value in settings.items()}


def _everywhere() -> dict[str, Any]:
    return {
        "broker_transport_options": PATIENT,
        "broker_connection_timeout": 4,
        "broker_connection_retry_on_startup": True,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],  # never pickle: a queue is input
        "result_accept_content": ["json"],
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "result_expires": 24 * 3600,
        "result_extended": True,  # a result without its task's name and arguments is nobody's
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        "task_create_missing_queues": False,  # a misspelt queue is an error, not a queue that nobody reads
        "task_default_queue": "maintenance",
        "task_routes": ROUTES,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": 60,  # below every lease (75 s): a worker with an expired one is dead
        "task_soft_time_limit": 45,
        "task_send_sent_event": False,
        "timezone": "UTC",
        "enable_utc": True,
    }


def _worker() -> dict[str, Any]:
    return {
        "imports": ["apps.common.connections"],  # it checks the connection before each task
        "db_reuse_max": 10**9,  # else Celery's Django fixup opens a new one for every task
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": 1000,
        "worker_max_memory_per_child": 400_000,  # KiB, about three times a fresh child
        "worker_eta_task_limit": 100,
        "worker_soft_shutdown_timeout": 20,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        "worker_lost_wait": 1.0,  # a killed child's message goes back at once: whatever it had done is fenced
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # True starts the task a third time
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }


def _beat(var: Path) -> dict[str, Any]:
    return {
        "beat_schedule": SCHEDULE,
        "beat_schedule_filename": str(var / "beat-schedule"),
        "beat_max_loop_interval": 5,
    }


SECOND = 1
HOUR = 3600 * SECOND
DAY = 24 * HOUR

MOMENT_S, WHILE_S = 15, 45
"""Soft time limits of short and long tasks. Every lease is longer."""
GRACE_S = 15


def every(seconds: int, task: str, *, soft_limit_s: int = WHILE_S) -> dict[str, Any]:
    """Return an entry that runs every so many seconds."""
    return _entry(task, when=schedule(timedelta(seconds=seconds)), seconds=seconds, soft_limit_s=soft_limit_s)


def daily(task: str, *, hour: int, minute: int = 0, soft_limit_s: int = WHILE_S) -> dict[str, Any]:
    """Return an entry that runs at a time of day, UTC."""
    when = crontab(hour=str(hour), minute=str(minute))
    return _entry(task, when=when, seconds=DAY, soft_limit_s=soft_limit_s)


def hourly(task: str, *, minutes: str, times: int = 1) -> dict[str, Any]:
    """Return an entry that runs at some minutes of each hour."""
    return _entry(task, when=crontab(minute=minutes), seconds=HOUR // times, soft_limit_s=WHILE_S)


def _entry(task: str, *, when: BaseSchedule, seconds: int, soft_limit_s: int) -> dict[str, Any]:
    limits = {"soft_time_limit": soft_limit_s, "time_limit": soft_limit_s + GRACE_S}
    return {"task": task, "schedule": when, "options": {"expires": seconds, **limits}}


SCHEDULE: dict[str, dict[str, Any]] = {
    # A wake-up is a hint: because this looks for what is due, a lost message costs only seconds.
    "dispatch": every(5 * SECOND, "apps.jobs.tasks.dispatch", soft_limit_s=MOMENT_S),
    "daily-github-sync": daily("apps.integrations.tasks.sync_all_github_data", hour=2),
    "hourly-metrics-update": hourly("apps.metrics.tasks.update_metrics", minutes="0"),
    "frequent-check": hourly("apps.monitoring.tasks.check_status", minutes="*/15", times=4),
    "clean-up": every(HOUR, "apps.monitoring.tasks.clean_up"),
    # Celery would add this one itself, without an expiry.
    "celery.backend_cleanup": daily("celery.backend_cleanup", hour=4),
}
