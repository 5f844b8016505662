"""The processor time and the write-ahead log that deliveries take: unlike seconds, they hold on a busy machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import psycopg

from benchmarks.stack import Stack

PARTS = ("web", "worker", "PostgreSQL")


@dataclass(slots=True)
class Costs:
    """What one round took: CPU seconds of each part, and bytes of write-ahead log."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    wal_bytes: float = 0.0


def cpu_s(process: psutil.Process) -> float:
    """What a process and those it started have used so far; those that ended count with their parent."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


@contextmanager
def costs_of(running: Stack) -> Iterator[Costs]:
    """Measure what happens inside the block."""
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        server = psutil.Process(connection.info.backend_pid).parent()
        assert server is not None  # noqa: S101  a backend has its postmaster
        ids = running.process_ids
        parts = (
            [psutil.Process(ids["web"])],
            [psutil.Process(found) for name, found in ids.items() if name.startswith("worker")],
            [server],
        )
        costs = Costs()
        before, wal_before = [sum(map(cpu_s, part)) for part in parts], _wal(connection)
        yield costs
        after = [sum(map(cpu_s, part)) for part in parts]
        costs.cpu_s = {name: later - earlier for name, earlier, later in zip(PARTS, before, after, strict=True)}
        costs.wal_bytes = _wal(connection) - wal_before


def _wal(connection: "psycopg.Connection[tuple[object, ...]]") -> float:
    found = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    return float(str((found or (0,))[0]))
