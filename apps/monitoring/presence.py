"""The workers of each queue and the beats that are running, as each of them reports.

Remote control and events are off, and the broker's list of clients names no queues. So each process reports every few
seconds to Redis, where its messages come from too: a process that cannot connect to it counts as absent.
"""

import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

from celery import bootsteps
from celery.signals import after_task_publish, beat_init
from django.conf import settings
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

KEY = "tformance:present"
BEAT = "beat"
REPORT_EVERY_S = 10
GONE_AFTER_S = 35
"""Three missed reports: a process that was silent for this long counts as absent."""

# By the clock of Redis alone, so that no two clocks must agree.
_REPORT = """
local now = tonumber(redis.call('TIME')[1])
for _, one in ipairs(ARGV) do redis.call('ZADD', KEYS[1], now, one) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 3600)
"""


class Presence(bootsteps.StartStopStep):
    """Report this worker for its queues while it is connected."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None
        self._entries: list[str] = []

    def start(self, parent: Any) -> None:
        """Start reporting; called again after each reconnection to the broker."""
        self._entries = [_entry(queue.name, parent.hostname) for queue in parent.task_consumer.queues]
        report(self._entries)
        self._timer = parent.timer.call_repeatedly(REPORT_EVERY_S, report, (self._entries,))

    def stop(self, parent: Any) -> None:
        """Stop with the connection: a worker without it receives nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            remove(self._entries)


@beat_init.connect
def report_beat(**_: Any) -> None:
    """In beat, report it with each message that the broker accepted."""
    after_task_publish.connect(_BeatReporter(), weak=False)


class _BeatReporter:
    """Report the beat, at most every REPORT_EVERY_S."""

    def __init__(self) -> None:
        self._reported_at_s = 0.0

    def __call__(self, **_: Any) -> None:
        now_s = time.monotonic()
        if now_s - self._reported_at_s >= REPORT_EVERY_S:
            self._reported_at_s = now_s
            report([_entry(BEAT, f"{platform.node()}:{os.getpid()}")])


def report(entries: Iterable[str]) -> None:
    """Record that these are present now; without Redis nothing is recorded, after a short timeout."""
    try:
        _redis().eval(_REPORT, 1, KEY, *entries)
    except RedisError:
        return  # the broker is the same Redis: its absence shows everywhere else


def remove(entries: Iterable[str]) -> None:
    """Remove these entries."""
    try:
        _redis().zrem(KEY, *entries)
    except RedisError:
        return  # they expire anyway


def present(redis: Redis) -> dict[str, list[str]]:
    """Return the present workers by queue, and under `beat` the beats. Raises RedisError."""
    now = int(redis.time()[0])
    found: dict[str, list[str]] = defaultdict(list)
    for entry in redis.zrangebyscore(KEY, now - GONE_AFTER_S, "+inf"):
        what, _, who = (entry.decode() if isinstance(entry, bytes) else str(entry)).partition(" ")
        found[what].append(who)
    return {what: sorted(names) for what, names in found.items()}


def _entry(what: str, who: str) -> str:
    return f"{what} {who}"


@cache
def _redis() -> Redis:
    """Return a client with short timeouts, because it runs in the event loop of a worker."""
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), retries=1)
    )
