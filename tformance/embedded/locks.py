"""File locks that the kernel releases when their holder dies, however it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock alone, waiting for others to let go."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_exclusive(path: Path, *, stack: ExitStack) -> bool:
    """Whether nobody held the lock; if so it is ours until the stack closes."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    stack.callback(os.close, descriptor)
    return True


class Lease:
    """A share in something that must live until its last user has gone."""

    def __init__(self, path: Path) -> None:
        self._descriptor = _open(path)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def is_last(self) -> bool:
        """Whether nobody else holds a share; if so none can be had until this one is returned."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A failed conversion may have dropped the share (flock(2)): take it again.
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            return False
        return True

    def give_back(self) -> None:
        """Let go; the next user may come in."""
        os.close(self._descriptor)


def holders(path: Path) -> list[psutil.Process]:
    """Every other process that has the lock's file open: whoever holds the lock, or waits for it."""
    name = str(path.resolve())
    return [one for one in psutil.process_iter() if one.pid != os.getpid() and _has_open(one, name)]


def _has_open(process: psutil.Process, name: str) -> bool:
    try:
        return any(file.path == name for file in process.open_files())
    except (psutil.Error, OSError):  # gone meanwhile, or another user's
        return False


def take_free_slot(folder: Path, *, count: int) -> int:
    """The lowest number below count that no living process has; kept until this process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        descriptor = _open(folder / f"{number}.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return number
    raise RuntimeError(f"All {count} slots in {folder} are taken: too many processes at once.")


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
