"""Events that GitHub does not have, whose translators do to a worker what the worst payload could do."""

import os
import signal
import struct
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from billiard import current_process
from django.apps import AppConfig

if TYPE_CHECKING:  # facts name their tables, which Django must have loaded
    from apps.activity.facts import Fact
    from apps.webhooks.registry import Event

POISON = "rig_poison"
SLOW = "rig_slow"
PROBE = "rig_probe"
GARBLE = "rig_garble"

# What a worker's child writes to its main process: four bytes of length, then that many of pickle.
UNREADABLE = struct.pack(">i", 5) + b"hello"
ENDLESS = struct.pack(">i", 2**28)


def poison(event: "Event") -> "Iterable[Fact]":
    """Kill the worker, as running out of memory would."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ()


def slow(event: "Event") -> "Iterable[Fact]":
    """Take as long as the payload says."""
    time.sleep(float(event.payload["seconds"]))
    return ()


def probe(event: "Event") -> "Iterable[Fact]":
    """Be processed, and nothing else."""
    return ()


def garble(event: "Event") -> "Iterable[Fact]":
    """Write unreadable data into the pipe of results, as if its reader had lost its place."""
    pipe = current_process().outq._writer.fileno()
    os.write(pipe, ENDLESS if event.payload["is_endless"] else UNREADABLE)
    return ()


class BadEventsConfig(AppConfig):
    name = "tests.rig.bad_events"
    label = "bad_events"

    def ready(self) -> None:
        from apps.webhooks.registry import translates  # noqa: PLC0415

        translates(POISON)(poison)
        translates(SLOW)(slow)
        translates(PROBE)(probe)
        translates(GARBLE)(garble)
