from apps.integrations.admin import backfills, delivery_log, syncs

__all__ = ["backfills", "delivery_log", "syncs"]
