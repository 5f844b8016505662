"""Coverage: the periods of which a stream is stored completely."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.activity.models import Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A period of which the stream is stored completely."""

    repository_id: int
    stream: str
    from_at: datetime
    to_at: datetime


def cover(stream: str, *, repository_id: int | None, from_at: datetime, to_at: datetime) -> None:
    """Record that the stream is stored completely between two instants; periods that touch are merged.

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


def cover_together(stretches: Collection[Stretch]) -> None:
    """Record the same for many repositories in one statement, at most one period per stream and repository."""
    period = [stretch for stretch in stretches if stretch.from_at <= stretch.to_at]
    if not period:
        return
    asked: dict[str, Any] = {
        "repositories": [stretch.repository_id for stretch in period],
        "streams": [stretch.stream for stretch in period],
        "begins": [stretch.from_at for stretch in period],
        "ends": [stretch.to_at for stretch in period],
    }
    with connection.cursor() as cursor:
        cursor.execute(_COVER_TOGETHER, asked)


_COVER_TOGETHER = """
WITH period AS (
    SELECT * FROM unnest(
        %(repositories)s::bigint[], %(streams)s::text[], %(begins)s::timestamptz[], %(ends)s::timestamptz[]
    ) AS period (repository_id, stream, from_at, to_at)
), met AS MATERIALIZED (
    SELECT kept.id, kept.repository_id, kept.stream, kept.from_at, kept.to_at
    FROM period JOIN activity_coverage kept ON kept.repository_id = period.repository_id AND kept.stream = period.stream
        AND kept.from_at <= period.to_at AND kept.to_at >= period.from_at
    ORDER BY kept.id FOR UPDATE OF kept
), merged AS (
    SELECT period.repository_id, period.stream, min(met.id) AS id,
        least(period.from_at, min(met.from_at)) AS from_at, greatest(period.to_at, max(met.to_at)) AS to_at
    FROM period LEFT JOIN met ON met.repository_id = period.repository_id AND met.stream = period.stream
    GROUP BY period.repository_id, period.stream, period.from_at, period.to_at
), moved AS (
    UPDATE activity_coverage kept SET from_at = merged.from_at, to_at = merged.to_at
    FROM merged WHERE kept.id = merged.id
), swallowed AS (
    DELETE FROM activity_coverage kept USING met, merged
    WHERE kept.id = met.id AND met.repository_id = merged.repository_id AND met.stream = merged.stream
      AND met.id <> merged.id
)
INSERT INTO activity_coverage (repository_id, stream, from_at, to_at)
SELECT repository_id, stream, from_at, to_at FROM merged WHERE id IS NULL
ORDER BY repository_id, stream
"""
