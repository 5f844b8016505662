"""In the admin: walks through history, runs of reconciliation, what was missed, and how far the tables were off."""

from apps.integrations.admin import backfills, delivery_log, drift, start_backfill, syncs

__all__ = ["backfills", "delivery_log", "drift", "start_backfill", "syncs"]
