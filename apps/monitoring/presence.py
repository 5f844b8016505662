"""Who listens to which queue, and who beats, as each of them says of itself.

Workers take no remote control and send no events, and the list of a broker's clients names no queues. So each says
every few seconds that it is there, in Redis, where its messages come from too: whoever cannot reach that is not there.
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
SAY_EVERY_S = 10
GONE_AFTER_S = 35
"""Three times unheard: whoever said nothing for so long is not there."""

# By the clock of Redis alone, so that no two clocks must agree.
_SAY = """
local now = tonumber(redis.call('TIME')[1])
for _, one in ipairs(ARGV) do redis.call('ZADD', KEYS[1], now, one) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 3600)
"""


class Presence(bootsteps.StartStopStep):
    """Say while this worker is connected that somebody listens to its queues."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None
        self._said: list[str] = []

    def start(self, parent: Any) -> None:
        """Begin; called again after each reconnection to the broker."""
        self._said = [_entry(queue.name, parent.hostname) for queue in parent.task_consumer.queues]
        say(self._said)
        self._timer = parent.timer.call_repeatedly(SAY_EVERY_S, say, (self._said,))

    def stop(self, parent: Any) -> None:
        """End with the connection: who hears nothing does not listen."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            take_back(self._said)


@beat_init.connect
def have_beat_say_so(**_: Any) -> None:
    """In a beat, each message that the broker took says that it beats."""
    after_task_publish.connect(_Beating(), weak=False)


class _Beating:
    """Says so, and no more often than needed."""

    def __init__(self) -> None:
        self._said_at_s = 0.0

    def __call__(self, **_: Any) -> None:
        now_s = time.monotonic()
        if now_s - self._said_at_s >= SAY_EVERY_S:
            self._said_at_s = now_s
            say([_entry(BEAT, f"{platform.node()}:{os.getpid()}")])


def say(entries: Iterable[str]) -> None:
    """Note that these are here now. Without Redis it is not noted, and nobody waits long for that."""
    try:
        _redis().eval(_SAY, 1, KEY, *entries)
    except RedisError:
        return  # the broker is the same Redis: its absence shows everywhere else


def take_back(entries: Iterable[str]) -> None:
    """Note that these are here no more."""
    try:
        _redis().zrem(KEY, *entries)
    except RedisError:
        return  # they fade by themselves


def present(redis: Redis) -> dict[str, list[str]]:
    """Who is there now, by queue, and under `beat` who beats. RedisError where it cannot be asked."""
    now = int(redis.time()[0])
    found: dict[str, list[str]] = defaultdict(list)
    for entry in redis.zrangebyscore(KEY, now - GONE_AFTER_S, "+inf"):
        what, _, who = (entry.decode() if isinstance(entry, bytes) else str(entry)).partition(" ")
        found[what].append(who)
    return {what: sorted(people) for what, people in found.items()}


def _entry(what: str, who: str) -> str:
    return f"{what} {who}"


@cache
def _redis() -> Redis:
    """One attempt, brief: it is made in the event loop of a worker."""
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), retries=1)
    )
