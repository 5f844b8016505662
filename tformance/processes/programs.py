"""What runs: the command line of each process. docker-compose.yml and deploy/ run the same ones."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tformance.embedded.locks import take_free_slot
from tformance.slow_bodies import IDLE_S

STOP_SECONDS = 35  # longer than a worker's soft shutdown (20 s)

# Python runs one thread of a process at a time: a second process makes use of a second core.
WEB_PROCESSES = max(1, min(os.cpu_count() or 1, 4))

# Threads are cheap and one that waits for a slow client's body holds nothing else: many of them, so that such clients
# are not in the way of others. Database connections are opened by the threads that need one, and kept for a minute.
WEB_THREADS = 96  # of all web processes together
LARGE_BODY_BYTES = 204 * 1024 * 1024  # of all web processes together: eight bodies of the largest kind
# glibc gives each thread a heap of its own, which keeps what a large body took of it. Two heaps are enough where one
# thread runs at a time, and what is large has pages of its own, which go back to the system with it.
WEB_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(512 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 1024 * 1024),
}
LONGEST_HEAD = 16 * 1024  # bytes of all headers together; GitHub's fit into 2 kB
MOST_BEATS = 64  # of one checkout at a time


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process: its name, role and command."""

    name: str
    role: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def web(*, port: int, host: str = "127.0.0.1", counters: Path | None = None) -> Program:
    """The HTTP server; its processes add up what they count in the folder `counters`, which starts empty."""
    options = {
        "--interface": "wsgi",
        "--http": "1",
        "--host": host,
        "--port": str(port),
        "--workers": str(WEB_PROCESSES),
        "--blocking-threads": str(WEB_THREADS // WEB_PROCESSES),
        "--blocking-threads-idle-timeout": "600",
        "--backlog": "2048",
        "--backpressure": "512",
        "--http1-buffer-size": str(LONGEST_HEAD),
        "--http1-header-read-timeout": str(IDLE_S * 1000),
        "--workers-kill-timeout": "20",
    }
    flags = ("--no-ws", "--respawn-failed-workers")
    pairs = tuple(part for pair in options.items() for part in pair)
    command = (sys.executable, "-m", "granian", *pairs, *flags, "tformance.wsgi:application")
    return Program(name="web", role="web", command=command, environment=WEB_ALLOCATOR | _shared_counters(counters))


def _shared_counters(folder: Path | None) -> dict[str, str]:
    if folder is None or "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return {}
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    for left in folder.glob("*.db"):  # of an earlier run
        left.unlink()
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder)}


def worker(name: str, *, queues: str, concurrency: int) -> Program:
    """A Celery worker for some queues."""
    options = ("--queues", queues, "--concurrency", str(concurrency), "--hostname", f"{name}@%h")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")
    return Program(name=name, role="worker", command=(*_celery(), "worker", *options, *quiet))


def beat(schedule: Path | None = None) -> Program:
    """Celery's clock, with a file of its own for what it remembers: any number of them is safe, one is enough."""
    own = ("--schedule", str(schedule)) if schedule else ()
    command = (*_celery(), "beat", "--loglevel", "INFO", "--pidfile=", *own)
    return Program(name="beat", role="beat", command=command)


def beat_of(var: Path) -> Program:
    """Return a beat of this checkout whose file no other one writes: two that share one can damage it."""
    number = take_free_slot(var / "beats", count=MOST_BEATS)
    return beat(var / (f"beat-schedule-{number}" if number else "beat-schedule"))


def workers() -> tuple[Program, ...]:
    """The workers of one machine: live work never queues behind history."""
    concurrency = max(2, min(os.cpu_count() or 2, 8))
    return (
        worker("worker-live", queues="live,figures", concurrency=concurrency),
        worker("worker-backfill", queues="backfill,maintenance", concurrency=2),
    )


def _celery() -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "--app", "tformance")
