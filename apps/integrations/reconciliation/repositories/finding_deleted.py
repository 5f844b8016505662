"""What was deleted on GitHub without our being told: the seam to what finds it, once a repository's walks are over.

Everything that this package needs of it has its name here, and is called from nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.integrations.github.access import GitHubAccess
from apps.integrations.models import RepositorySync


@dataclass(frozen=True, slots=True)
class Found:
    """How the search stands: whether it is over, and the streams of which GitHub has what we have not."""

    is_complete: bool
    short: tuple[str, ...] = field(default=())


def find_deleted(repository_sync: RepositorySync, *, access: GitHubAccess, deadline_s: float) -> Found:
    """Record what GitHub has no more, until `deadline_s` of time.monotonic(); Unanswered where GitHub does not tell."""
    return Found(is_complete=True)


def count_again(repository_sync: RepositorySync, *, streams: Sequence[str]) -> None:
    """Forget what was counted of these streams, as they are walked again."""
