"""Whose turn GitHub's budget says it is: whoever read last tells them, whatever it is that they wait to read."""

from apps.integrations.backfill import bell as backfill_bell
from apps.integrations.enrichment import bell as enrichment_bell
from apps.integrations.reconciliation.repositories import bell as sync_bell


def ring_for_next(subject: str | None) -> int:
    """Tell the workers of this subject, if it still waits; how many messages the broker took."""
    return (
        backfill_bell.ring_for_next(subject)
        or enrichment_bell.ring_for_next(subject)
        or sync_bell.ring_for_next(subject)
    )
