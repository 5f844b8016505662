"""How far the reading of GitHub's history has come."""

from apps.integrations.models.backfills import Backfill, RefreshFailure
from apps.integrations.models.github_delivery_log import DeliveryLogScan, MissedDelivery
from apps.integrations.models.syncs import (
    Drift,
    DriftedEntity,
    RepositorySync,
    StreamCount,
    StreamMark,
    SyncLog,
    TeamSync,
)

__all__ = [
    "Backfill",
    "DeliveryLogScan",
    "Drift",
    "DriftedEntity",
    "MissedDelivery",
    "RefreshFailure",
    "RepositorySync",
    "StreamCount",
    "StreamMark",
    "SyncLog",
    "TeamSync",
]
