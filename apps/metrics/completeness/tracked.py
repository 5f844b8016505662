"""What is known of one repository, and the time of which each of its streams is here. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apps.metrics.completeness.streams import Stream
from apps.metrics.completeness.stretches import Stretch, common, cut_off, left_of, united

MARGIN = timedelta(hours=1)
"""A loss is dated by our clock, and by when we were told of it."""
EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """One repository as the tables have it.

    `passes`: what walks and comparisons covered, united, of each stream. `losses`: when an installation lost it, as
    far as that is remembered. `lost_at` is set while nobody reaches it; `is_reached` also is false for one that never
    was. `held_at`: when the oldest delivery of it came that has no effect. `doubt`: from the first to the last delivery
    without effect that may or may not have been about it. `untold`: the streams of which nobody sends all webhooks.
    """

    repository_id: int
    full_name: str
    created_at: datetime | None
    is_reached: bool
    lost_at: datetime | None
    losses: tuple[datetime, ...]
    held_at: datetime | None
    doubt: Stretch | None
    passes: Mapping[Stream, Sequence[Stretch]]
    untold: frozenset[Stream] = frozenset()

    @property
    def ends_at(self) -> datetime:
        """From when on nothing can come of it any more; never, while it is reached."""
        return EVER if self.lost_at is None else self.lost_at - MARGIN

    def begins_at(self, stream: Stream) -> datetime | None:
        """Where what was read of the stream begins; None where nothing was."""
        passes = self.passes.get(stream)
        return passes[0].from_at if passes else None

    def covered(self, stream: Stream, *, log: Sequence[Stretch]) -> list[Stretch]:
        """The time of which everything of the stream is here: read, or told by webhooks that GitHub's log bears out.

        The log, united, counts from where reading began, and only while the repository was reached; for a stream of
        which the App is not sent the webhooks it says nothing.
        """
        passes = self.passes.get(stream)
        if not passes:
            return []
        told = common(log, within=self._heard(passes)) if log and stream not in self.untold else ()
        return united([*passes, *told])

    def complete_until(self, stream: Stream, *, covered: Sequence[Stretch]) -> datetime | None:
        """The end of what is covered, and never after the oldest delivery without effect; None if nothing is."""
        if not covered:
            return None
        return covered[-1].to_at if self.held_at is None else min(covered[-1].to_at, self.held_at)

    def unhindered(self, covered: Sequence[Stretch]) -> list[Stretch]:
        """What of the covered time no delivery without effect, and no loss, puts in doubt."""
        until = min(self.ends_at, self.held_at or EVER)
        return list(covered) if until == EVER else cut_off(covered, at=until)

    def _heard(self, passes: Sequence[Stretch]) -> list[Stretch]:
        """When webhooks told everything: since reading began, but for the time after each loss."""
        if not self.is_reached and self.lost_at is None:
            return []
        since = Stretch(passes[0].from_at, max(passes[0].from_at, self.ends_at))
        return list(left_of(since, united(self._unheard(passes))))

    def _unheard(self, passes: Sequence[Stretch]) -> Iterator[Stretch]:
        """From each loss, or doubt, until the first pass that began afterwards.

        To be read at all, the repository had to be reached again, and what was read needs no delivery.
        """
        for lost_at in self.losses:
            yield Stretch(lost_at - MARGIN, _first_end(passes, since=lost_at))
        if self.doubt is not None:
            yield Stretch(self.doubt.from_at, _first_end(passes, since=self.doubt.to_at))


def _first_end(passes: Sequence[Stretch], *, since: datetime) -> datetime:
    return next((one.to_at for one in passes if one.to_at >= since), EVER)
