"""What a run records says which repository in which run it was read for."""

from apps.activity.facts import Source


def source_of(repository_sync_id: int) -> Source:
    """The RepositorySync of this id, beside whatever is recorded for it."""
    return Source(kind="api", key=f"sync {repository_sync_id}")
