"""Pending deliveries of repositories: until they are processed, completeness ends at the oldest."""

from collections.abc import Collection
from datetime import datetime

from apps.activity.models import RepositoryAccess
from apps.common import db

# The index `delivery_without_effect` has the oldest of a repository first; a backlog of any length costs the same.
_OF_REPOSITORIES = """
SELECT asked.id, oldest.received_at
FROM unnest(%s::bigint[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT received_at FROM webhooks_delivery
    WHERE repository_id = asked.id AND NOT state IN ('processed', 'ignored')
    ORDER BY received_at LIMIT 1
) AS oldest
"""
_OF_NO_REPOSITORY = """
SELECT installation_id, min(received_at), max(received_at) FROM webhooks_delivery
WHERE repository_id IS NULL AND NOT state IN ('processed', 'ignored') GROUP BY installation_id
"""

Between = tuple[datetime, datetime]


def oldest_of_repositories(repository_ids: Collection[int]) -> dict[int, datetime]:
    """Return when the oldest pending delivery of each repository arrived, by id; most have none."""
    return dict(db.run(_OF_REPOSITORIES, [list(repository_ids)]))


def pending_without_repository(repository_ids: Collection[int]) -> dict[int, Between]:
    """Return when the first and last pending delivery without a repository arrived that may concern each repository.

    One of an installation may concern whatever that ever reached: it could be the news that a repository was lost. One
    that names no installation either may concern any repository at all. Nobody may ever be able to use such a delivery,
    so the caller decides when its content is known from elsewhere.
    """
    found: dict[int | None, Between] = {key: (first, last) for key, first, last in db.run(_OF_NO_REPOSITORY)}
    if not found:
        return {}
    concerned = dict.fromkeys(repository_ids, found.pop(None)) if None in found else {}
    accesses = RepositoryAccess.objects.filter(repository__in=repository_ids, installation__in=found)
    for repository_id, installation_id in accesses.values_list("repository_id", "installation_id"):
        first, last = found[installation_id]
        known = concerned.get(repository_id, (first, last))
        concerned[repository_id] = min(first, known[0]), max(last, known[1])
    return concerned
