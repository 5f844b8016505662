"""Redis that stops, is silent, or has forgotten everything."""

import time

from tests.rig.recoveries.bench import Bench, traffic

DOWN_S = 8.0


def redis_restarted(bench: Bench) -> None:
    bench.rig.engines.kill_redis()
    guid = bench.deliver(during="Redis killed")
    bench.rig.engines.start_redis()
    started = time.monotonic()
    other = bench.deliver(during="Redis back")
    bench.note(
        "Redis killed and started: deliveries of meanwhile and after",
        max(map(bench.wait, (guid, other))) - started,
        limit_s=10,
    )


def redis_away(bench: Bench) -> None:
    bench.rig.engines.redis.stop()
    with traffic(bench, "Redis stopped") as posted:
        time.sleep(DOWN_S)
    bench.rig.engines.start_redis()
    started = time.monotonic()
    bench.note(
        f"Redis stopped for {DOWN_S:.0f} s: everything of meanwhile processed",
        bench.wait_for_all(posted) - started,
        limit_s=60,
    )


def redis_blackholed(bench: Bench) -> None:
    links = bench.rig.links(engine="redis")
    for link in links:
        link.blackhole()
    with traffic(bench, "Redis blackholed") as posted:
        time.sleep(DOWN_S)
    for link in links:
        link.heal()
    started = time.monotonic()
    bench.note(
        f"Redis blackholed for {DOWN_S:.0f} s: everything of meanwhile processed",
        bench.wait_for_all(posted) - started,
        limit_s=60,
    )


def redis_flushed(bench: Bench) -> None:
    started = time.monotonic()
    guids = bench.deliver_unnotified(20, during="FLUSHALL")
    bench.note("FLUSHALL with 20 messages waiting: all processed", bench.wait_for_all(guids) - started, limit_s=30)
