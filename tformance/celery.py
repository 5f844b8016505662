"""The Celery application. Its messages have ids and never payloads."""

import gc
import os
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init
from django.conf import settings
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError

from tformance.environment import settings_errors_in_one_line
from tformance.worker_health import Heartbeat, PrefetchCheck, StuckWorkerCheck

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tformance.settings")

app = Celery("tformance")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["consumer"].add(Heartbeat)
app.steps["consumer"].add(PrefetchCheck)
app.steps["consumer"].add(StuckWorkerCheck)
app.steps["consumer"].add("apps.jobs.dispatch:DispatchTimer")
app.steps["consumer"].add("apps.monitoring.presence:Presence")
app.autodiscover_tasks()


@app.on_configure.connect
def load_the_settings(**unused: Any) -> None:
    """Load the settings so that an error ends `celery …` with one line instead of a traceback."""
    with settings_errors_in_one_line():
        _ = settings.ROLE


@worker_init.connect
@beat_init.connect
def refuse_unfit_pooler(**_: Any) -> None:
    """End the process if a pooler breaks its sessions."""
    with settings_errors_in_one_line():
        import_string("apps.common.connections.refuse_unfit_pooler")()


@worker_init.connect
def keep_what_was_imported(**_: Any) -> None:
    """Freeze objects before the fork, so that children keep sharing their memory."""
    gc.freeze()


@beat_init.connect
def dispatch_at_start(**_: Any) -> None:
    """Start a delivery log scan at once for deliveries that failed while we were down."""
    with suppress(OperationalError):
        app.send_task("apps.jobs.tasks.dispatch", kwargs={"at_start": True}, retry=False)


@setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Leave logging to Django: Celery does not configure it if this signal has a receiver."""
