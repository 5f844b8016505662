"""The schedule of beat. A message that could not run within its interval expires; the next one follows.

Each has a soft limit, at which its task may still clean up, and a limit a little later, at which its process is killed.
"""

from datetime import timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab, schedule

SECOND = 1
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
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
    # A wake-up is a hint: because this looks into the inbox, a lost message costs only seconds.
    "dispatch": every(5 * SECOND, "apps.webhooks.tasks.dispatch", soft_limit_s=MOMENT_S),
    # Not every installation sends a webhook when it comes or goes.
    "find-installations": every(HOUR, "apps.integrations.tasks.find_installations"),
    # What is to be read at GitHub becomes a job soon; how far apart its requests are is up to each.
    "plan-jobs": every(5 * SECOND, "apps.jobs.tasks.plan_jobs", soft_limit_s=MOMENT_S),
    "daily-github-sync": daily("apps.integrations.tasks.sync_all_github_data", hour=2),
    "hourly-metrics-update": hourly("apps.metrics.tasks.update_metrics", minutes="0"),
    "frequent-check": hourly("apps.monitoring.tasks.check_status", minutes="*/15", times=4),
    "prune-bodies": every(HOUR, "apps.webhooks.tasks.prune_bodies"),
    # Makes up, once, for a night that no beat saw. The database's clock decides which period is due: this may come
    # late, twice, or from three beats at once.
    "open-due-syncs": every(MINUTE, "apps.integrations.tasks.open_due_syncs", soft_limit_s=MOMENT_S),
    "conclude-syncs": every(15 * SECOND, "apps.integrations.tasks.conclude_syncs", soft_limit_s=MOMENT_S),
    "prune-jobs": daily("apps.integrations.tasks.prune", hour=3, minute=30),
    "clean-up": daily("apps.monitoring.tasks.clean_up", hour=3, minute=20),
    # Celery would add this one itself, without an expiry.
    "celery.backend_cleanup": daily("celery.backend_cleanup", hour=4),
}
