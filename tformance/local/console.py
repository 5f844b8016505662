"""Messages on the terminal, and requests to stop."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

SAY_EVERY_S = 5
POLL_S = 0.02

_unfinished: list[str] = []  # the step whose line is not ended yet
_said_at = [0.0]  # when the last message was printed


def say(text: str = "", *, error: bool = False) -> None:
    """Print a message at once, on a line of its own."""
    if _unfinished:
        _unfinished.clear()
        _write(sys.stdout, "\n")
    _write(sys.stderr if error else sys.stdout, f"{text}\n")


def _write(stream: TextIO, text: str) -> None:
    """Write at once; write nothing more if the reader has ended, as in `make status | head`."""
    _said_at[:] = [time.monotonic()]
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def fact(name: str, value: str) -> None:
    """Print one line of the summary."""
    say(f"  {name:<10} {value}")


@contextmanager
def step(name: str, *, meanwhile: str = "") -> Iterator[None]:
    """Print what is being done and how long it took; without other messages, repeat it every few seconds."""
    _write(sys.stdout, f"  {name} … ")
    _unfinished[:] = [name]
    begin = time.monotonic()
    try:
        with _repeated(meanwhile or name):
            yield
    except BaseException:
        _finish(name, "not done")
        raise
    _finish(name, f"{time.monotonic() - begin:.1f} s")


@contextmanager
def _repeated(words: str) -> Iterator[None]:
    """Print the message whenever nothing was printed for a few seconds."""
    begin, is_over = time.monotonic(), threading.Event()
    _said_at[:] = [begin]

    def repeat() -> None:
        while not is_over.wait(max(POLL_S, _said_at[0] + SAY_EVERY_S - time.monotonic())):
            if time.monotonic() - _said_at[0] >= SAY_EVERY_S:
                say(f"  {words} ({time.monotonic() - begin:.0f} s so far)")

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _finish(name: str, outcome: str) -> None:
    """End the step's line, or write a new one if something else was printed meanwhile."""
    is_open = bool(_unfinished)
    _unfinished.clear()
    say(outcome if is_open else f"  {name}: {outcome}")


def wait_while_alive(
    words: Callable[[], str],
    *,
    is_ready: Callable[[], bool],
    is_alive: Callable[[], bool],
    log: Path,
    poll_s: float = POLL_S,
) -> bool:
    """Return whether a program became ready: wait as long as it runs, and print its state every few seconds."""
    begin = said_at = time.monotonic()
    while not is_ready():
        if not is_alive():
            return is_ready()
        time.sleep(poll_s)
        if time.monotonic() - said_at >= SAY_EVERY_S:
            said_at = time.monotonic()
            say(f"  {words()} ({said_at - begin:.0f} s so far; its log is {log})")
    return True


REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1


class StopRequestedError(BaseException):
    """A signal asked this process to stop. It is not an Exception, so that no handler takes it for a failure."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Raise StopRequestedError at the first request; later ones are ignored, because we are stopping already."""
    previous = {number: signal.signal(number, _first) for number in REQUESTS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _first(number: int, _frame: FrameType | None) -> None:
    for request in REQUESTS:
        signal.signal(request, _later)
    raise StopRequestedError(signal.Signals(number).name)


def _later(_number: int, _frame: FrameType | None) -> None:
    return


def follow_parent() -> None:
    """Ask the kernel (Linux) for a SIGTERM when our parent is killed, so that we still stop in order."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class EmbeddedError(Exception):
    """An embedded engine cannot do what was asked; the message says what happened and what to do."""
