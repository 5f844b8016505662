"""How the letterbox stands, for commands, health and pages."""

from dataclasses import dataclass

from django.db import connection

from apps.webhooks.models import Delivery


@dataclass(frozen=True, slots=True)
class Overview:
    """Deliveries by state; the age of the oldest one without an end; and how long the oldest due one has been due."""

    states: dict[str, int]
    oldest_waiting_s: float
    lag_s: float


_AGES = """
SELECT coalesce(extract(epoch FROM statement_timestamp() - (
           SELECT min(received_at) FROM webhooks_delivery WHERE state IN ('received', 'running', 'failed')
           AND NOT state IN ('processed', 'ignored')
       )), 0)::float8,
       greatest(coalesce(extract(epoch FROM statement_timestamp() - (
           SELECT min(not_before) FROM webhooks_delivery WHERE state IN ('received', 'failed')
       )), 0), 0)::float8
"""


def look() -> Overview:
    """Count and measure now; every state is named, empty ones with 0."""
    counts = dict.fromkeys(Delivery.State.values, 0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM webhooks_delivery GROUP BY state")
        counts.update(cursor.fetchall())
        cursor.execute(_AGES)
        oldest_waiting_s, lag_s = cursor.fetchone()
    return Overview(states=counts, oldest_waiting_s=round(oldest_waiting_s, 3), lag_s=round(lag_s, 3))
