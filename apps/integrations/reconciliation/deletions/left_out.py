"""How many more of a stream GitHub may have than we: of most repositories only the last months were read."""

from django.db.models import Exists, OuterRef, Q

from apps.activity.models import Coverage
from apps.integrations.models import Backfill, RepositorySync, StreamCount

Outcome = StreamCount.Outcome
RIGHT = (Outcome.AGREES, Outcome.SETTLED)


def left_out(sync: RepositorySync, *, stream: str) -> int | None:
    """As many as when nothing was missing the last time; None where that never was, and not all of it was read."""
    earlier = _right_before(sync, stream=stream)
    if earlier is not None and earlier.theirs is not None and earlier.ours is not None:
        return max(0, earlier.theirs - earlier.ours)
    return None if _is_partly_read(sync, stream=stream) else 0


def _right_before(sync: RepositorySync, *, stream: str) -> StreamCount | None:
    """What GitHub still has more of after all of it was walked, it counts and does not show."""
    walked = Backfill.objects.filter(sync=OuterRef("repository_sync"), stream=stream, state=Backfill.State.DONE)
    is_right = Q(outcome__in=RIGHT) | Q(Exists(walked), outcome=Outcome.SHORT)
    counts = StreamCount.objects.filter(
        is_right,
        stream=stream,
        repository_sync__repository=sync.repository_id,
        repository_sync__lt=sync,
        repository_sync__state=RepositorySync.State.DONE,
    )
    return counts.order_by("-repository_sync").first()


def _is_partly_read(sync: RepositorySync, *, stream: str) -> bool:
    read = Coverage.objects.filter(repository=sync.repository_id, stream=stream)
    created_at = sync.repository.created_at
    return read.exists() and (created_at is None or not read.filter(from_at__lte=created_at).exists())
