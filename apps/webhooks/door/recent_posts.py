"""Whether the posts of the last seconds were kept: a database may answer a probe and refuse what is written to it."""

import threading
import time
from collections import deque

REMEMBERED_S = 10.0
MOST_REMEMBERED = 1000
FEWEST_FAILED = 3  # one row that is locked for long is no outage

_lock = threading.Lock()
_posts: deque[tuple[float, bool]] = deque(maxlen=MOST_REMEMBERED)


def note(*, is_kept: bool) -> None:
    """Note what became of a signed post."""
    with _lock:
        _posts.append((time.monotonic(), is_kept))


def are_failing() -> bool:
    """Whether a quarter or more of them could not be kept by this process."""
    since_s = time.monotonic() - REMEMBERED_S
    with _lock:
        kept = [is_kept for at_s, is_kept in _posts if at_s >= since_s]
    failed = kept.count(False)
    return failed >= FEWEST_FAILED and failed * 4 >= len(kept)


def forget() -> None:
    """Forget all posts; for tests."""
    with _lock:
        _posts.clear()
