"""In the admin: history and having more of it read, what was missed of deliveries, and how far the tables were off."""

from apps.integrations.admin import backfills, drift, sweeps, targets

__all__ = ["backfills", "drift", "sweeps", "targets"]
