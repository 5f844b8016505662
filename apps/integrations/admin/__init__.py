"""In the admin: walks through history, runs of reconciliation, what was missed, and how far the tables were off."""

from apps.integrations.admin import backfills, drift, sweeps, syncs, targets

__all__ = ["backfills", "drift", "sweeps", "syncs", "targets"]
