"""Bodies expire, rows stay: the bytes are most of the database, and a delivery that took effect needs them no more."""

from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

BATCH = 500
MOST_BATCHES = 200  # a run ends within minutes; the next one goes on

_PRUNE = """
DELETE FROM webhooks_deliverybody
WHERE delivery_id IN (
    SELECT b.delivery_id FROM webhooks_deliverybody b JOIN webhooks_delivery d ON d.id = b.delivery_id
    WHERE d.received_at < %(before)s AND d.state IN ('processed', 'ignored')
    ORDER BY b.delivery_id LIMIT %(batch)s FOR UPDATE OF b, d SKIP LOCKED
)
"""


def prune_bodies() -> int:
    """Delete the bodies of deliveries that took effect more than BODY_RETENTION_DAYS ago; how many. 0 keeps all."""
    if settings.BODY_RETENTION_DAYS <= 0:
        return 0
    before = timezone.now() - timedelta(days=settings.BODY_RETENTION_DAYS)
    pruned = 0
    for _ in range(MOST_BATCHES):
        with connection.cursor() as cursor:
            cursor.execute(_PRUNE, {"before": before, "batch": BATCH})
            pruned += cursor.rowcount
            if cursor.rowcount < BATCH:
                break
    return pruned
