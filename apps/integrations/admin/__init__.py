from apps.integrations.admin import backfills, delivery_log, reconciliation

__all__ = ["backfills", "delivery_log", "reconciliation"]
