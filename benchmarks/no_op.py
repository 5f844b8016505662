"""A Celery pipeline of no-op tasks with Celery's own defaults: what a queue costs before any work is done."""

import os
import sys
import time

import redis
from celery import Celery

REDIS_URL = os.environ.get("REDIS_URL", "")
DONE = "bench-no-op-done"
LONGEST_S = 120
app = Celery("no_op", broker=REDIS_URL)
app.conf.update(task_ignore_result=True, task_default_queue="bench-no-op", broker_connection_retry_on_startup=True)


@app.task(name="benchmarks.no_op")  # the publisher runs as __main__, the worker does not
def no_op(number: int, count: int) -> None:
    """Nothing, but for the last one, which says that it came through."""
    if number == count:
        redis.Redis.from_url(REDIS_URL).incr(DONE)


def rate(count: int) -> float:
    """Tasks a second, published one by one while they are consumed; from the first publish until none is left."""
    client = redis.Redis.from_url(REDIS_URL)
    _run(client, count=50)  # the worker is up
    started = time.perf_counter()
    _run(client, count=count)
    return count / (time.perf_counter() - started)


def _run(client: "redis.Redis", *, count: int) -> None:
    client.delete(DONE)
    for number in range(1, count + 1):
        no_op.delay(number, count)
    deadline = time.monotonic() + LONGEST_S
    while not client.exists(DONE) or client.llen("bench-no-op"):
        if time.monotonic() > deadline:
            raise SystemExit(f"error: the no-op tasks are not through after {LONGEST_S} s.")
        time.sleep(0.01)


if __name__ == "__main__":
    sys.stdout.write(f"{rate(int(sys.argv[1]))}\n")
