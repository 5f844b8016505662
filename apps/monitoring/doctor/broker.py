"""Redis and those who listen to it: does it answer, does it keep everything, is somebody there for each queue?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.common.database_errors import words_of
from apps.monitoring.doctor.checks import Check, Stopped, warning, well, wrong
from apps.monitoring.presence import BEAT, present

QUEUES = ("live", "figures", "backfill", "maintenance")
DOES = {
    "live": "deliveries are processed by none",
    "figures": "figures stay as they are",
    "backfill": "history is not read",
    "maintenance": "nothing is listed, pruned or checked, and no mail goes out",
}
NAMES = ("redis", "redis eviction", "redis memory", "redis keys")
NAMES_OF_PRESENCE = (*(f"queue {name}" for name in QUEUES), "beat")
OLDEST = (6, 2)
LONGEST_S = 1.0
MUCH_SHARE = 0.8
MANY_WAITING = 1_000
LOOKED_AT = 1_000
OURS = re.compile(rf"tformance:.*|_kombu\..*|unacked.*|(?:{'|'.join(QUEUES)})(?:\x06.*)?", re.DOTALL)
MB = 1024**2


def redis() -> Redis:
    """A client that waits a second at most."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=LONGEST_S,
        socket_connect_timeout=LONGEST_S,
        retry=Retry(NoBackoff(), retries=0),
        decode_responses=True,
    )


def examine_redis() -> Iterator[Check]:
    """Everything about Redis itself; nothing more once it does not answer."""
    with redis() as client:
        try:
            told = client.info()
        except RedisError as error:
            yield wrong(
                "redis",
                f"{settings_host()} does not answer: {words_of(error)}",
                "`make run` starts the embedded one; else start yours, or correct REDIS_URL. Deliveries wait.",
            )
            raise Stopped("Redis does not answer.") from error
        yield judge_version(told)
        yield judge_eviction(told)
        yield judge_memory(told)
        yield judge_keys(client.scan(count=LOOKED_AT)[1], size=client.dbsize())


def settings_host() -> str:
    """Where Redis should be: what stands before and behind that may be a password."""
    parts = urlsplit(settings.REDIS_URL)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def judge_version(told: Mapping[str, Any]) -> Check:
    version = str(told.get("redis_version", "?"))
    if told.get("loading"):
        return wrong("redis", f"Redis {version} is still reading its data.", "Wait a moment.")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        return wrong("redis", f"Redis {version} answers.", f"Upgrade it to {'.'.join(map(str, OLDEST))} or newer.")
    return well("redis", f"Redis {version} answers.")


def judge_eviction(told: Mapping[str, Any]) -> Check:
    policy = str(told.get("maxmemory_policy", "unknown"))
    if policy != "noeviction":
        return wrong(
            "redis eviction",
            f"maxmemory-policy is {policy}: messages are thrown away when memory is short.",
            "Set maxmemory-policy to noeviction, and give us a Redis of our own.",
        )
    return well("redis eviction", "noeviction.")


def judge_memory(told: Mapping[str, Any]) -> Check:
    used, most = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    found = f"{used / MB:.0f} MB in use{f' of {most / MB:.0f}' if most else ', without a limit'}."
    if most and used > most * MUCH_SHARE:
        return wrong("redis memory", found, "Raise maxmemory; then see which queue grows, and why nobody empties it.")
    return well("redis memory", found)


def judge_keys(keys: Sequence[str], *, size: int) -> Check:
    """Whether somebody else's keys are among ours: what they do with Redis happens to us."""
    foreign = sorted(key for key in keys if not OURS.fullmatch(key))
    if foreign:
        return warning(
            "redis keys",
            f"{len(foreign)} of {len(keys)} keys looked at are not ours.",
            "Give us a database of our own: another number at the end of REDIS_URL, better a server.",
        )
    return well("redis keys", f"{size:,}, all of those looked at are ours.")


def examine_presence() -> Iterator[Check]:
    """Whether somebody listens to each queue, and whether somebody beats."""
    with redis() as client:
        people = present(client)
        for queue in QUEUES:
            yield judge_queue(queue, people.get(queue, ()), waiting=int(client.llen(queue)))
        yield judge_beat(people.get(BEAT, ()))


def judge_queue(queue: str, people: Sequence[str], *, waiting: int) -> Check:
    name, words = f"queue {queue}", f"{waiting:,} {'message waits' if waiting == 1 else 'messages wait'}"
    if not people:
        return wrong(
            name,
            f"No worker listens, so {DOES[queue]}; {words}.",
            f"`make run`, or `python -m tformance.processes only worker --queues {queue} --concurrency 2`.",
        )
    found = f"{', '.join(people[:3])}{' …' if len(people) > 3 else ''}; {words}."  # noqa: PLR2004
    if waiting > MANY_WAITING:
        return warning(name, found, "Workers do not keep up: start more for this queue, and see what their logs say.")
    return well(name, found)


def judge_beat(people: Sequence[str]) -> Check:
    if not people:
        return wrong(
            "beat",
            "Nobody beats: nothing begins by itself, and what waits in the database waits on.",
            "`make run`, or `python -m tformance.processes only beat`. A second one does no harm.",
        )
    return well("beat", f"{', '.join(people)}.")
