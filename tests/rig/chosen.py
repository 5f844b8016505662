"""The faults of the test suite: one of each family, in an order in which slow recoveries overlap with other faults."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from apps.common.failpoints import POINTS
from tests.rig.faults import Fault
from tests.rig.machine import WEB, WORKERS, Rig
from tests.rig.proxy import Proxy
from tformance.local.stop_processes import wait_until

AT_RISK = """
SELECT id FROM webhooks_delivery
WHERE state = 'running' AND crashes + is_claimed_alone::int >= 2 AND event <> 'rig_poison' LIMIT 1
"""
AT_DISPATCH = frozenset({"dispatch.after_mark"})
VISITED_S = 90


def chosen_faults(rig: Rig) -> list[Fault]:
    """Processes killed, Redis stopped, silent and emptied, PostgreSQL crashed, connections frozen and cut."""
    return [
        # Its lease takes a minute to run out: meanwhile the others happen.
        Fault(name="worker killed", begin=lambda: rig.kill(rig.group(WORKERS[1]))),
        _crash_everywhere(rig),
        _crash_the_dispatcher(rig),
        *_engines(rig),
        *_links(rig),
        Fault(
            name="a worker's clock ahead by ten minutes",
            begin=lambda: rig.set_clock(WORKERS[0], ahead_s=600),
            end=lambda: rig.set_clock(WORKERS[0], ahead_s=0),
            lasts_s=2,
        ),
        Fault(name="worker child killed", begin=lambda: rig.kill(rig.children(WORKERS[0])[:1])),
        Fault(name="web killed", begin=lambda: rig.kill(rig.group(WEB))),
    ]


def _engines(rig: Rig) -> list[Fault]:
    engines = rig.engines

    def flush() -> None:
        with engines.broker() as broker:
            broker.flushall()

    return [
        Fault(name="Redis stopped", begin=engines.redis.stop, end=engines.start_redis, lasts_s=2),
        Fault(name="Redis emptied", begin=flush),
        Fault(name="PostgreSQL crashed", begin=engines.crash_postgres, end=engines.start_postgres),
    ]


def _links(rig: Rig) -> list[Fault]:
    to_redis = rig.links(engine="redis")
    web_to_postgres = rig.links(process=WEB, engine="postgres")
    workers_to_postgres = rig.links(process=WORKERS[0], engine="postgres")

    def on(name: str, links: list[Proxy], act: Callable[[Proxy], None], *, lasts_s: float) -> Fault:
        return Fault(
            name=name,
            begin=lambda: [act(link) for link in links],
            end=lambda: [link.heal() for link in links],
            lasts_s=lasts_s,
        )

    return [
        on("Redis silent", to_redis, Proxy.blackhole, lasts_s=2),
        on("web's database frozen", web_to_postgres, Proxy.freeze, lasts_s=5),
        on(
            "a worker's database cut in mid-answer",
            workers_to_postgres,
            lambda link: link.cut(after_bytes=50),
            lasts_s=2,
        ),
    ]


def _crash_everywhere(rig: Rig) -> Fault:
    """Crash once at every failpoint: in the receiver and in the workers at the same time."""
    in_receiver = {point for point in POINTS if point.startswith(("receiver.", "wakeup."))}

    def crash() -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda points: _crash_at(rig, points), (in_receiver, POINTS - AT_DISPATCH - in_receiver)))

    return Fault(name="a crash at every point", begin=crash, end=rig.disarm)


def _crash_the_dispatcher(rig: Rig) -> Fault:
    """Lose the wake-ups, so that the dispatcher has to send them, and crash it."""
    links = rig.links(process=WEB, engine="redis")

    def crash() -> None:
        for link in links:
            link.refuse()
        _crash_at(rig, AT_DISPATCH)

    def heal() -> None:
        rig.disarm()
        for link in links:
            link.heal()

    return Fault(name="a crash of the dispatcher, without wake-ups", begin=crash, end=heal)


def _crash_at(rig: Rig, points: Iterable[str]) -> None:
    for point in sorted(points):
        wait_until(lambda: not _is_any_at_risk(rig), seconds=VISITED_S)
        rig.crash_at(point)
        assert wait_until(partial(rig.has_crashed, point), seconds=VISITED_S), f"No process reached {point}"


def _is_any_at_risk(rig: Rig) -> bool:
    """Return whether one more crash could be the third of a good delivery, which would then be dead."""
    return bool(rig.engines.rows(AT_RISK))
