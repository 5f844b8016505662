"""The catalogue of faults: each is begun, lasts a while, and is ended."""

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass

from apps.common.failpoints import POINTS
from tests.rig.machine import BEATS, ENGINES, PROCESSES, WEB, WORKERS, Rig
from tests.rig.proxy import Proxy

TEN_MINUTES_S = 600
GARBAGE = (b"not json", b"[]", b"null", b"{}", b'{"body": "e30=", "headers": 3}', b"\x80\x04K\x01.")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault; `end` repairs what does not recover automatically."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object] = lambda: None
    lasts_s: float = 0.0


def catalogue(rig: Rig, chance: random.Random) -> list[Callable[[], Fault]]:
    """Return every kind of fault; each call of one chooses its target and its length at random."""
    kinds = [_process_faults, _engine_faults, _database_faults, _link_faults, _broker_faults]
    if rig.clocks is not None:
        kinds.append(_clock_faults)
    return [make for kind in kinds for make in kind(rig, chance)]


def _process_faults(rig: Rig, chance: random.Random) -> list[Callable[[], Fault]]:
    def group(*names: str) -> Fault:
        name = chance.choice(names)
        return Fault(name=f"kill -9 {name}, all of it", begin=lambda: rig.kill(rig.group(name)))

    def main(*names: str) -> Fault:
        name = chance.choice(names)
        return Fault(name=f"kill -9 {name}, its main process", begin=lambda: rig.kill(rig.group(name)[:1]))

    def child(*names: str) -> Fault:
        name = chance.choice(names)
        return Fault(name=f"kill -9 {name}, a child", begin=lambda: rig.kill(rig.children(name)[:1]))

    def terminate() -> Fault:
        name = chance.choice(PROCESSES)
        return Fault(name=f"restart {name}", begin=lambda: rig.kill(rig.group(name)[:1], signal.SIGTERM))

    def stop() -> Fault:
        name = chance.choice(WORKERS)
        return Fault(
            name=f"SIGSTOP {name}, then SIGCONT",
            begin=lambda: rig.kill(rig.group(name), signal.SIGSTOP),
            end=lambda: rig.kill(rig.group(name), signal.SIGCONT),
            lasts_s=chance.uniform(2, 12),
        )

    return [
        lambda: group(WEB),
        lambda: group(*WORKERS),
        lambda: main(WEB, *WORKERS),
        lambda: child(WEB, *WORKERS),
        lambda: child(*WORKERS),
        lambda: group(*BEATS),
        terminate,
        stop,
        *_crash_faults(rig, chance),
    ]


def _crash_faults(rig: Rig, chance: random.Random) -> list[Callable[[], Fault]]:
    def failpoint() -> Fault:
        point = chance.choice(sorted(POINTS))
        return Fault(name=f"crash at {point}", begin=lambda: rig.crash_at(point), lasts_s=4)

    def beats() -> Fault:
        return Fault(name="kill -9 both beats", begin=lambda: [rig.kill(rig.group(beat)) for beat in BEATS])

    return [beats, failpoint, failpoint, failpoint]


def _engine_faults(rig: Rig, chance: random.Random) -> list[Callable[[], Fault]]:
    engines = rig.engines

    def redis_killed() -> Fault:
        return Fault(
            name="kill -9 Redis", begin=engines.kill_redis, end=engines.start_redis, lasts_s=chance.uniform(0, 6)
        )

    def redis_restarted() -> Fault:
        return Fault(
            name="restart Redis", begin=engines.redis.stop, end=engines.start_redis, lasts_s=chance.uniform(0, 3)
        )

    def postgres_crashed() -> Fault:
        return Fault(
            name="stop PostgreSQL at once (immediate)",
            begin=engines.crash_postgres,
            end=engines.start_postgres,
            lasts_s=chance.uniform(0, 6),
        )

    return [redis_killed, redis_restarted, postgres_crashed, postgres_crashed]


def _database_faults(rig: Rig, chance: random.Random) -> list[Callable[[], Fault]]:
    def terminate_sessions() -> None:
        rig.engines.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'tformance'")

    return [
        lambda: Fault(name="end every database session", begin=terminate_sessions),
        lambda: Fault(
            name="PostgreSQL takes no writes",
            begin=lambda: rig.engines.be_read_only(is_read_only=True),
            end=lambda: rig.engines.be_read_only(is_read_only=False),
            lasts_s=chance.uniform(2, 6),
        ),
    ]


def _broker_faults(rig: Rig, chance: random.Random) -> list[Callable[[], Fault]]:
    def set_memory(limit: str) -> None:
        with rig.engines.broker() as broker:
            broker.config_set("maxmemory", limit)

    def push_garbage() -> None:
        with rig.engines.broker() as broker:
            for garbage in GARBAGE:
                broker.lpush("live", garbage)

    def flush() -> None:
        with rig.engines.broker() as broker:
            broker.flushall()

    return [
        lambda: Fault(name="FLUSHALL", begin=flush),
        lambda: Fault(name="FLUSHALL", begin=flush),
        lambda: Fault(name="garbage in the queue", begin=push_garbage),
        lambda: Fault(
            name="Redis is full",
            begin=lambda: set_memory("1mb"),
            end=lambda: set_memory("256mb"),
            lasts_s=chance.uniform(2, 6),
        ),
    ]


def _link_faults(rig: Rig, chance: random.Random) -> list[Callable[[], Fault]]:
    def on_links(name: str, act: Callable[[Proxy], None], *, longest_s: float) -> Fault:
        engine = chance.choice(ENGINES)
        process = chance.choice((None, *PROCESSES))
        links = rig.links(process=process, engine=engine)
        return Fault(
            name=f"{name}: {process or 'everybody'} to {engine}",
            begin=lambda: [act(link) for link in links],
            end=lambda: [link.heal() for link in links],
            lasts_s=chance.uniform(1, longest_s),
        )

    return [
        lambda: on_links("freeze what is open", Proxy.freeze, longest_s=15),
        lambda: on_links("freeze what is open", Proxy.freeze, longest_s=15),
        lambda: on_links("reset", Proxy.reset, longest_s=1),
        lambda: on_links("refuse", Proxy.refuse, longest_s=6),
        lambda: on_links("blackhole", Proxy.blackhole, longest_s=10),
        lambda: on_links("delay", lambda link: link.delay(seconds=0.2), longest_s=6),
        lambda: on_links("slow", lambda link: link.throttle(bytes_per_s=20_000), longest_s=6),
        lambda: on_links("cut in mid-answer", lambda link: link.cut(after_bytes=chance.randrange(1, 400)), longest_s=4),
    ]


def _clock_faults(rig: Rig, chance: random.Random) -> list[Callable[[], Fault]]:
    def wrong_clock(*names: str) -> Fault:
        name = chance.choice(names)
        ahead_s = chance.choice((-TEN_MINUTES_S, TEN_MINUTES_S))
        return Fault(
            name=f"{name}'s clock {'ahead' if ahead_s > 0 else 'behind'} by ten minutes",
            begin=lambda: rig.set_clock(name, ahead_s=ahead_s),
            end=lambda: rig.set_clock(name, ahead_s=0),
            lasts_s=chance.uniform(4, 15),
        )

    return [lambda: wrong_clock(*WORKERS), lambda: wrong_clock(WEB, *BEATS)]
