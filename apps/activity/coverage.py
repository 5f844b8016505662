"""Keeping up to when everything is here."""

from datetime import datetime

from django.db import transaction

from apps.activity.models import Coverage


def cover(stream: str, *, repository_id: int | None, from_at: datetime, to_at: datetime) -> None:
    """Everything of the stream between the two instants is here: stretches that meet become one.

    `repository_id` is None for Coverage.DELIVERIES. A stretch that runs backwards covers nothing.
    """
    if from_at > to_at:
        return
    with transaction.atomic():
        rows = Coverage.objects.filter(repository=repository_id, stream=stream)
        met = list(rows.filter(from_at__lte=to_at, to_at__gte=from_at).order_by("pk").select_for_update())
        if not met:
            rows.create(repository_id=repository_id, stream=stream, from_at=from_at, to_at=to_at)
            return
        kept, *others = met
        kept.from_at = min(from_at, *(row.from_at for row in met))
        kept.to_at = max(to_at, *(row.to_at for row in met))
        kept.save(update_fields=["from_at", "to_at"])
        rows.filter(pk__in=[row.pk for row in others]).delete()
