"""What was deleted on GitHub without our being told: the seam to what finds it, once a repository's walks are over."""

from apps.integrations.github.access import GitHubAccess
from apps.integrations.models import RepositorySync


def find_deleted(row: RepositorySync, *, access: GitHubAccess, deadline_s: float) -> bool:
    """Record what GitHub has no more; whether that is all, or another task has to go on.

    Unanswered where GitHub does not tell. `deadline_s` is of time.monotonic().
    """
    return True
