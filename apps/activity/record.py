"""The one door into the facts."""

from collections.abc import Sequence

from apps.activity.facts import Evidence


def record(evidence: Sequence[Evidence]) -> None:
    """Merge the facts into the tables, append a Change for each entity that changed; inside the caller's transaction."""
    raise NotImplementedError
