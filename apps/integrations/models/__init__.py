"""How far the reading of GitHub's history has come."""

from apps.integrations.models.backfills import Backfill
from apps.integrations.models.delivery_log import DeliverySweep, MissedDelivery
from apps.integrations.models.drifts import DriftedEntity, StreamCount
from apps.integrations.models.enrichments import Enrichment, EnrichmentAttempt
from apps.integrations.models.listings import Listing
from apps.integrations.models.syncs import Drift, RepositorySync, StreamMark, SyncLog, TeamSync

__all__ = [
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
