"""History in the admin: what is read, and having more of it read; and what was missed of deliveries."""

from apps.integrations.admin import backfills, sweeps, targets

__all__ = ["backfills", "sweeps", "targets"]
