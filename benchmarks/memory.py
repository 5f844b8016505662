"""Memory: a worker after 20,000 deliveries beside itself after 2,000, and what 25 MB cost the web process."""

from collections.abc import Iterator
from contextlib import ExitStack

import psutil

from benchmarks.bodies import mixed_deliveries, padded, signed_deliveries
from benchmarks.end_to_end import through_everything, wait_until_fresh
from benchmarks.load import post, signed
from benchmarks.results import Measurement
from benchmarks.stack import Stack, live_workers, stack
from tformance.local import programs
from tformance.local.programs import wait_until_ready
from tformance.local.state import free_port

MEGABYTE = 1024 * 1024
LARGEST = 25 * MEGABYTE - 2000
EARLY, LATE = 2_000, 20_000


def measure() -> Iterator[Measurement]:
    """Resident megabytes of a whole process tree, at rest."""
    with stack() as running, ExitStack() as everything:
        worker, _ = everything.enter_context(running.running(*live_workers(), programs.beat()))
        sent = mixed_deliveries(count=LATE)
        with running.web() as port:
            through_everything(running, port=port, sent=sent[:EARLY])
            early = resident(worker.pid)
            through_everything(running, port=port, sent=sent[EARLY:])
            late = resident(worker.pid)
        yield Measurement(
            name="worker memory after 20,000 deliveries", value=late, unit="MB", beside={"after 2,000, MB": early}
        )
        yield body_cost(running)


def body_cost(running: Stack) -> Measurement:
    """The web process at its peak while it takes a body of 25 MB, beside itself before."""
    payload = next(one for one in mixed_deliveries(count=20) if one.event == "pull_request").payload
    large = signed("pull_request", padded(payload, size=LARGEST), secret=running.secret)
    with running.running(programs.web(port=(port := free_port()))) as (web,):
        wait_until_ready(port, is_alive=lambda: web.poll() is None, log=running.var / "log" / "web.log")
        post(signed_deliveries(mixed_deliveries(count=100), secret=running.secret), port=port, count=100)
        before = peak_resident(web.pid)
        statuses = post([large], port=port, count=1, connections=1).statuses
        peak = peak_resident(web.pid)
    if statuses != {202: 1}:
        raise RuntimeError(f"A body of 25 MB was answered {statuses}")
    wait_until_fresh(running)
    return Measurement(name="web memory with a 25 MB body", value=peak, unit="MB", beside={"before, MB": before})


def resident(pid: int) -> float:
    """Memory of a process and its children, shared pages counted once (PSS)."""
    process = psutil.Process(pid)
    return sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True))) / MEGABYTE


def peak_resident(pid: int) -> float:
    """The most that any process of the tree ever held, in the kernel's own account (VmHWM), summed."""
    process = psutil.Process(pid)
    return sum(high_water(one.pid) for one in (process, *process.children(recursive=True)))


def high_water(pid: int) -> float:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
