"""Registers the translators that misbehave."""

import os
import signal
import time
from collections.abc import Iterable

from django.apps import AppConfig

from apps.activity.facts import Fact
from apps.webhooks.registry import Event, translates

POISON = "rig_poison"
DAWDLE = "rig_dawdle"
PROBE = "rig_probe"


def poison(event: Event) -> Iterable[Fact]:
    """Kill the worker, as running out of memory would."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ()


def dawdle(event: Event) -> Iterable[Fact]:
    """Take as long as the payload says."""
    time.sleep(float(event.payload["seconds"]))
    return ()


def probe(event: Event) -> Iterable[Fact]:
    """Be processed, and nothing else."""
    return ()


class MischiefConfig(AppConfig):
    name = "tests.rig.mischief"
    label = "mischief"

    def ready(self) -> None:
        translates(POISON)(poison)
        translates(DAWDLE)(dawdle)
        translates(PROBE)(probe)
