"""The same key with other bytes: a conflict only if the documents differ, for a form and JSON may say the same."""

import logging

from django.db import DatabaseError

from apps.webhooks.errors import UnusablePayload
from apps.webhooks.models import Delivery, DeliveryBody
from apps.webhooks.parsing import read_document

logger = logging.getLogger(__name__)


def flag_other_content(delivery_id: int, *, content: bytes, content_type: str) -> bool:
    """Whether a delivery that came again says something else than its first; the row is flagged, the first is kept.

    A first body that has expired cannot be compared and raises no flag.
    """
    try:
        first = DeliveryBody.objects.of(Delivery.objects.filter(id=delivery_id)).first()
        if first is None or _says_the_same(first, content=content, content_type=content_type):
            return False
        Delivery.objects.filter(id=delivery_id).update(is_conflict=True)
    except DatabaseError:  # the delivery is stored and counted: the answer stands
        logger.warning("conflict_not_checked", extra={"delivery": delivery_id})
        return False
    logger.warning("delivery_conflict", extra={"delivery": delivery_id})
    return True


def _says_the_same(first: DeliveryBody, *, content: bytes, content_type: str) -> bool:
    try:
        known = read_document(bytes(first.content), content_type=first.headers.get("content-type", ""))
        again = read_document(content, content_type=content_type)
    except UnusablePayload:
        return False
    return known.payload == again.payload
