"""Connections that stay open and carry nothing."""

import time
from collections.abc import Callable
from functools import partial

from tests.rig.bad_events.apps import SLOW
from tests.rig.machine import BEATS, WEB, WORKERS, Rig
from tests.rig.proxy import Proxy
from tests.rig.recoveries.bench import WORKING_AGAIN_S, Bench, freeze, traffic

IN_FULL_SWING_S = 1.0
PARTITIONED_S = 45.0
FROZEN_S = 6.0  # longer than a request may wait


def half_open(made: Rig) -> dict[str, Callable[[Bench], None]]:
    """For each kind of process and each engine: its connections freeze, new ones work."""
    return {
        f"half_open_{kind}_to_{engine}": partial(
            _half_open,
            name=f"{kind} to {engine}",
            links=[link for name in names for link in made.links(process=name, engine=engine)],
        )
        for kind, names in {"web": (WEB,), "workers": WORKERS}.items()
        for engine in ("postgres", "redis")
    }


def _half_open(bench: Bench, *, name: str, links: list[Proxy]) -> None:
    """First on a system at rest, where nothing else would bring it to light; then with requests in flight."""
    freeze(links)
    started = time.monotonic()
    guid = bench.deliver(during=f"half-open at rest: {name}")
    bench.note(f"half-open connections, {name}: next delivery processed", bench.wait(guid) - started, limit_s=15)
    bench.rest()
    with traffic(bench, f"half-open in mid-flight: {name}") as posted:
        time.sleep(IN_FULL_SWING_S)
        freeze(links)
        time.sleep(FROZEN_S)
    bench.note(f"half-open connections, {name}: longest in the inbox", bench.longest_wait_s(posted), limit_s=15)


def beats_half_open(bench: Bench) -> None:
    """Only the dispatcher can know of these deliveries, and whoever calls it has a dead connection."""
    freeze([link for name in BEATS for link in bench.rig.links(process=name, engine="redis")])
    started = time.monotonic()
    guids = bench.deliver_unnotified(5, during="half-open: beats to redis")
    bench.note(
        "half-open connections, beats to redis, and messages lost", bench.wait_for_all(guids) - started, limit_s=15
    )


def frozen_in_mid_delivery(bench: Bench) -> None:
    """The worker that is at work loses its database without a word, in the middle of a delivery."""
    guid = bench.deliver(SLOW, seconds=2)
    bench.wait(guid, state="running")
    started = time.monotonic()
    freeze([link for name in WORKERS for link in bench.rig.links(process=name, engine="postgres")])
    other = bench.deliver(during="workers' database frozen in mid-delivery")
    bench.note(
        "workers' database frozen in mid-delivery: next delivery processed", bench.wait(other) - started, limit_s=15
    )
    bench.note(
        "workers' database frozen in mid-delivery: claimed anew",
        bench.wait_for_claim(guid, number=2) - started,
        limit_s=75,
    )


def partitioned(bench: Bench) -> None:
    """The workers are cut off from both engines, in mid-flight, for long enough that every limit of theirs is met."""
    links = [link for name in WORKERS for link in bench.rig.links(process=name)]
    with traffic(bench, "workers partitioned") as posted:
        bench.deliver(SLOW, seconds=3, during="workers partitioned")
        time.sleep(IN_FULL_SWING_S)
        for link in links:
            link.blackhole()
        time.sleep(PARTITIONED_S)
    for link in links:
        link.heal()
    healed = time.monotonic()
    working = bench.wait_for_every_child()
    bench.note(
        f"workers cut off from both engines for {PARTITIONED_S:.0f} s: every child works again",
        working - healed,
        limit_s=WORKING_AGAIN_S,
    )
    bench.wait_for_all(posted)
