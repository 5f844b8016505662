"""What beat rings for, and how often. An entry that could not run within its interval is void: the next one is due."""

from datetime import timedelta
from typing import Any

from celery.schedules import BaseSchedule, crontab, schedule

SECOND = 1
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def every(seconds: int, task: str) -> dict[str, Any]:
    """An entry that recurs after so many seconds."""
    return _entry(task, when=schedule(timedelta(seconds=seconds)), seconds=seconds)


def daily(task: str, *, hour: int, minute: int = 0) -> dict[str, Any]:
    """An entry for a time of day, UTC."""
    return _entry(task, when=crontab(hour=str(hour), minute=str(minute)), seconds=DAY)


def _entry(task: str, *, when: BaseSchedule, seconds: int) -> dict[str, Any]:
    return {"task": task, "schedule": when, "options": {"expires": seconds}}


SCHEDULE: dict[str, dict[str, Any]] = {
    # The doorbell is a hint: this look into the letterbox is what makes a lost message cost seconds.
    "dispatch": every(5 * SECOND, "apps.webhooks.tasks.dispatch"),
    # Walks wait in the database, for a limit, a recovery or their turn: this is what ends each wait.
    "resume-backfills": every(5 * SECOND, "apps.integrations.tasks.resume_backfills"),
    "resume-listings": every(MINUTE, "apps.integrations.tasks.resume_listings"),
    # Not every installation sends a webhook when it comes or goes.
    "find-installations": every(HOUR, "apps.integrations.tasks.find_installations"),
    # Whoever has to wait for GitHub keeps their turn for 10 s. That requests are half a minute apart is up to a row.
    "resume-enrichment": every(5 * SECOND, "apps.integrations.tasks.resume_enrichment"),
    "check-status": every(15 * MINUTE, "apps.monitoring.tasks.check_status"),
    "update-metrics": every(HOUR, "apps.metrics.tasks.update_metrics"),
    "prune-bodies": every(HOUR, "apps.webhooks.tasks.prune_bodies"),
    "prune-enrichment-attempts": daily("apps.integrations.tasks.prune_enrichment_attempts", hour=3),
    "clean-up": daily("apps.monitoring.tasks.clean_up", hour=3, minute=20),
    # Celery would add this one itself, without an expiry.
    "celery.backend_cleanup": daily("celery.backend_cleanup", hour=4),
}
