"""Telling the workers that GitHub's log is to be swept. Messages are hints: one too many does nothing."""

from datetime import timedelta
from functools import partial

from celery import current_app
from django.db.models.functions import Now

from apps.github.auth import GitHubAccess
from apps.github.credentials import app_credentials, has_credentials
from apps.integrations.models import DeliverySweep
from apps.integrations.sweep.sweeping import sweep
from apps.webhooks.bell import ring

TASK = "apps.integrations.tasks.sweep_deliveries"
EXPIRES_S = 60
"""After a minute the next message is there."""
AWAY = timedelta(minutes=3)
"""Beat's tick comes every minute. Where none came for so long, something was down, the door perhaps with it."""
APART = timedelta(minutes=1)


def ring_for_due(*, at_start: bool = False) -> int:
    """Tell a worker where a sweep is due; how many messages the broker took.

    It is due every 15 minutes, where nobody looked for some minutes, and where beat has just started.
    """
    if not has_credentials():
        return 0
    app_id = app_credentials().app_id
    DeliverySweep.objects.bulk_create([DeliverySweep(app_id=app_id)], ignore_conflicts=True)
    own = DeliverySweep.objects.filter(pk=app_id)
    if at_start or own.filter(ticked_at__lt=Now() - AWAY).exists():
        own.hasten(apart=APART)
    own.update(ticked_at=Now())
    return ring_for_sweep() if own.due().exists() else 0


def ring_for_sweep() -> int:
    """Tell a worker to sweep; how many messages the broker took."""
    return ring.send([partial(current_app.send_task, TASK, expires=EXPIRES_S, retry=False, ignore_result=True)])


def sweep_or_go_on(*, access: GitHubAccess) -> None:
    """Sweep, and ring for another task where one was not enough."""
    row = sweep(access=access)
    if row is not None and row.is_due:
        ring_for_sweep()
