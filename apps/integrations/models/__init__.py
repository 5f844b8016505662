"""What we keep to speak with GitHub: the App's key, and how far each walk through its history has come."""

from apps.integrations.models.backfills import Backfill
from apps.integrations.models.credentials import AppPrivateKey
from apps.integrations.models.delivery_log import DeliverySweep, MissedDelivery
from apps.integrations.models.drifts import DriftedEntity, StreamCount
from apps.integrations.models.enrichments import Enrichment, EnrichmentAttempt
from apps.integrations.models.listings import Listing
from apps.integrations.models.syncs import Drift, RepositorySync, StreamMark, SyncLog, TeamSync

__all__ = [
    "AppPrivateKey",
    "Backfill",
    "DeliverySweep",
    "Drift",
    "DriftedEntity",
    "Enrichment",
    "EnrichmentAttempt",
    "Listing",
    "MissedDelivery",
    "RepositorySync",
    "StreamCount",
    "StreamMark",
    "SyncLog",
    "TeamSync",
]
