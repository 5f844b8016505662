"""Being asked to stop: Ctrl-C, SIGTERM and a closed terminal are all the same polite request."""

import contextlib
import ctypes
import signal
from collections.abc import Iterator
from types import FrameType

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


PR_SET_PDEATHSIG = 1


class StopRequestedError(BaseException):
    """Somebody asked us to stop. Not an Exception: nothing on the way may mistake it for a failure."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first request into StopRequestedError; later ones find us stopping already and change nothing."""
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
    """Ask the kernel (Linux) for a SIGTERM when our parent is killed outright, so that we still stop warm."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
