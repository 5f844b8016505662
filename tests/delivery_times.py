"""Times of deliveries, moved with their bodies."""

from typing import Any

from django.db import connection

from apps.webhooks.models import DeliveryQuerySet

MOVE_BODIES = """
UPDATE webhooks_deliverybody body SET day = (received_at AT TIME ZONE 'UTC')::date
FROM webhooks_delivery WHERE id = delivery_id AND day < '9999-12-31'
"""


def set_received_at(deliveries: DeliveryQuerySet, received_at: Any) -> None:
    """Set the arrival of deliveries: each body is stored under the day of its delivery."""
    deliveries.update(received_at=received_at)
    with connection.cursor() as cursor:
        cursor.execute(MOVE_BODIES)
