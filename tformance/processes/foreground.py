"""Running programs in the foreground of a terminal, their output straight through, as `make celery-dev` does."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tformance.embedded.engine_watch import EngineWatch
from tformance.embedded.marks import VARIABLE, clear
from tformance.embedded.remembered import CHECKOUT
from tformance.processes.programs import STOP_SECONDS, Program


def run_in_foreground(programs: Sequence[Program], *, var: Path, mark: str, watch: EngineWatch) -> int:
    """Run until one ends or we are stopped, then stop the others warm; the exit code of the first that ended."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        running += [_start(program, var=var, mark=mark) for program in programs]
        while all(process.poll() is None for process in running):
            watch.look()
            time.sleep(0.2)
        return next((process.returncode for process in running if process.returncode is not None), 0)
    finally:
        _stop(running)
        clear(mark, patience=5)


def _start(program: Program, *, var: Path, mark: str) -> "subprocess.Popen[bytes]":
    environment = {VARIABLE: mark, "TFORMANCE_VAR": str(var), "TFORMANCE_ROLE": program.role}
    return subprocess.Popen(program.command, cwd=CHECKOUT, env=os.environ | environment, start_new_session=True)


def _stop(running: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # to the main process only: it lets its children finish
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
