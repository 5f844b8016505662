"""History in the admin: what is read, and having more of it read, also from what it is the history of."""

from apps.integrations.admin import backfills, syncs, targets

__all__ = ["backfills", "syncs", "targets"]
