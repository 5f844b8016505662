"""Processes that die."""

import time

from tests.rig.bad_events.apps import GARBLE, POISON, SLOW
from tests.rig.machine import BEATS, WEB, WORKERS
from tests.rig.recoveries.bench import LONGEST_S, WORKING_AGAIN_S, Bench, traffic


def child_killed(bench: Bench) -> None:
    guid = bench.deliver(SLOW, seconds=3)
    bench.wait(guid, state="running")
    started = time.monotonic()
    for name in WORKERS:
        bench.rig.kill(bench.rig.children(name))
    bench.note(
        "every worker child killed: delivery in flight claimed anew",
        bench.wait_for_claim(guid, number=2) - started,
        limit_s=5,
    )
    bench.wait(guid)


def worker_killed(bench: Bench) -> None:
    guid = bench.deliver(SLOW, seconds=3)
    bench.wait(guid, state="running")
    started = time.monotonic()
    for name in WORKERS:
        bench.rig.kill(bench.rig.group(name))
    bench.note(
        "both workers killed: delivery in flight claimed anew",
        bench.wait_for_claim(guid, number=2) - started,
        limit_s=75,
    )
    bench.wait(guid)


def web_killed(bench: Bench) -> None:
    bench.rig.kill(bench.rig.group(WEB))
    started = time.monotonic()
    guid = bench.deliver(during="web killed")
    bench.note("web killed: accepted again", time.monotonic() - started, limit_s=15)
    bench.wait(guid)


def beats_killed(bench: Bench) -> None:
    for name in BEATS:
        bench.rig.kill(bench.rig.group(name))
    started = time.monotonic()
    guids = bench.deliver_unnotified(5, during="beats killed")
    bench.note("both beats killed, and FLUSHALL: all processed", bench.wait_for_all(guids) - started, limit_s=30)


def slow_at_each_attempt(bench: Bench) -> None:
    """Its first attempt finds out that it is slow; from then on it is in nobody's way."""
    slow = bench.deliver(SLOW, seconds=600)
    bench.wait(slow, state="failed")
    with traffic(bench, "a delivery that times out at each attempt") as posted:
        bench.wait(slow, state="running")
        bench.wait(slow, state="failed")
    bench.note(
        "times out at each attempt: 99 of 100 neighbours, from its second attempt on",
        bench.wait_percentile_s(posted, share=0.99),
        limit_s=2,
    )
    bench.give_up(slow)


def poisoned(bench: Bench) -> None:
    started = time.monotonic()
    with traffic(bench, "poison") as posted:
        guid = bench.deliver(POISON)
        bench.wait(guid, state="dead")
    dead_s = time.monotonic() - started
    _, _, crashes = bench.row(guid)
    assert crashes <= 3, crashes
    bench.note(f"poison: dead after {crashes} crashes of its own", dead_s, limit_s=LONGEST_S)
    bench.note("poison: the neighbour that waited longest", bench.longest_wait_s(posted), limit_s=75)


def worker_garbled(bench: Bench) -> None:
    """A worker reads nonsense from a child, be it what it cannot read or what never ends."""
    for is_endless in (False, True):
        bench.wait(bench.deliver(GARBLE, is_endless=is_endless))
        started = time.monotonic()
        bench.note(
            f"a worker reads nonsense that {'never ends' if is_endless else 'is no pickle'}: every child works again",
            bench.wait_for_every_child() - started,
            limit_s=WORKING_AGAIN_S,
        )
        bench.rest()
