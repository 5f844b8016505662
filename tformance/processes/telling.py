"""What the person at the terminal reads."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str = "", *, error: bool = False) -> None:
    """One line, at once."""
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def fact(name: str, value: str) -> None:
    """One line of the summary."""
    say(f"  {name:<10} {value}")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    sys.stdout.write(f"  {name} … ")
    sys.stdout.flush()
    begin = time.monotonic()
    try:
        yield
    except BaseException:
        say("not done")
        raise
    say(f"{time.monotonic() - begin:.1f} s")
