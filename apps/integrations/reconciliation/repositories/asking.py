"""GitHub, as whoever reconciles the repositories of an installation asks it."""

from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Priority, Purpose
from apps.integrations.backfill.walking import Reader
from apps.integrations.reconciliation.repositories.bell import subject_of


def reader_of(installation_id: int, *, access: GitHubAccess) -> Reader:
    """Behind what happens now and before backfills; the bell rings for whatever waits for a turn under this name."""
    purpose = Purpose(priority=Priority.RECONCILIATION, subject=subject_of(installation_id))
    return Reader(access=access, installation_id=installation_id, purpose=purpose)
