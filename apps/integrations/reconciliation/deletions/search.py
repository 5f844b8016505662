"""Finding what GitHub has no more: where it counts too few beside us, what it does not list is asked for alone.

Nothing is marked as deleted for want of an answer, for a list that broke off or does not come to its own count, or for
a mass that is not to be believed; and never more than the counts differ by.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.activity.comparison import Entity
from apps.activity.facts import evidence
from apps.activity.models import Coverage
from apps.activity.record import entity_key, record
from apps.common import db
from apps.integrations.drift import add, find, source_of
from apps.integrations.models import Backfill, DriftedEntity, RepositorySync, StreamCount
from apps.integrations.reader import Reader, RequestFailedError
from apps.integrations.reconciliation.deletions.lookup import (
    AT_ONCE,
    YOUNG,
    Counted,
    ListTooLongError,
    StreamLookup,
    open_lookup,
)
from apps.integrations.streams import STREAMS
from apps.integrations.streams.stream import Deletable

MOST_AT_ONCE = 10
LONGEST_WAIT_S = 6.0


def confirm_some(count: StreamCount, of: Deletable, *, lookup: StreamLookup, deadline_s: float) -> None:
    """Ask for the next suspects, one by one, and mark those as deleted that are gone; at least one of them.

    Only if GitHub still shows the repository afterwards. Marks and progress are kept in one transaction.
    """
    suspects: list[int] = count.place["suspects"]
    asked, gone = list[int](), list[int]()
    for key, row in _rows(of, suspects[:MOST_AT_ONCE], repository_id=lookup.repository_id):
        asked.append(key)
        if row is not None and lookup.is_gone(of, row):
            gone.append(row.pk)
        if time.monotonic() >= deadline_s:
            break
    at = lookup.confirm_repository() if gone else None
    then = {**count.place, "suspects": suspects[len(asked) :]}
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        if at is not None:
            _mark(count, of, gone, at=at)
        StreamCount.objects.filter(pk=count.pk).update(place=then)
    count.place = then


def _rows(of: Deletable, keys: Sequence[int], *, repository_id: int) -> list[tuple[int, Any]]:
    """Each key with its row, None where a webhook deleted it meanwhile."""
    found = of.here(repository_id).filter(**{f"{of.key}__in": keys})
    by_key = {getattr(row, of.key): row for row in found}
    return [(key, by_key.get(key)) for key in keys]


def _mark(count: StreamCount, of: Deletable, gone: Sequence[int], *, at: datetime) -> None:
    """Nobody says when it was deleted: by now. What is marked already, by a webhook, does not count again."""
    repository_id, sync_id = count.repository_sync.repository_id, count.repository_sync_id
    rows = of.here(repository_id).filter(pk__in=gone).order_by("pk").select_for_update()
    facts = [of.deleted(row, at) for row in rows]
    entities = [Entity(fact.entity, entity_key(fact)) for fact in facts]
    find(dict.fromkeys(entities, DriftedEntity.Finding.DELETED), repository_sync_id=sync_id)
    add({count.stream: {"deleted": len(facts)}}, repository_sync_id=sync_id)
    record([evidence(source_of(sync_id), facts)])


Outcome = StreamCount.Outcome
RIGHT = (Outcome.AGREES, Outcome.SETTLED)


def find_surplus(sync: RepositorySync, *, stream: str) -> int | None:
    """As many as when nothing was missing the last time; None where that never was, and not all of it was read."""
    earlier = _right_before(sync, stream=stream)
    if earlier is not None and earlier.theirs is not None and earlier.ours is not None:
        return max(0, earlier.theirs - earlier.ours)
    return None if _is_partly_read(sync, stream=stream) else 0


def _right_before(sync: RepositorySync, *, stream: str) -> StreamCount | None:
    """What GitHub still has more of after all of it was read, it counts and does not show."""
    read = Backfill.objects.filter(sync=OuterRef("repository_sync"), stream=stream, state=Backfill.State.DONE)
    is_right = Q(outcome__in=RIGHT) | Q(Exists(read), outcome=Outcome.SHORT)
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


MOST_AT_A_TIME, SHARE_AT_A_TIME = 10, 4
"""More at once than ten, and than a quarter of what is here, are not believed to be deleted."""
MOST_READINGS = 3
DELETABLE = {name: stream.deletable for name, stream in STREAMS.items() if stream.deletable}
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """How the search stands: whether it is over, and the streams of which GitHub has what we have not."""

    is_complete: bool
    short: tuple[str, ...] = field(default=())


def find_deleted(
    repository_sync: RepositorySync,
    *,
    reader: Reader,
    deadline_s: float,
    streams: Sequence[str] = tuple(DELETABLE),
    accepts_mass_deletions: bool = False,
) -> Found:
    """Count the streams and mark what is deleted, until `deadline_s` by time.monotonic(); then another task goes on.

    Begin it when the reads of the run are over. RequestFailedError where GitHub does not say: called again, it goes on
    where it was. A stream that is `short` has to be read again, after `count_again`.
    """
    shown = [stream for stream, of in DELETABLE.items() if of.is_shown_to(repository_sync.installation)]
    counts = [_row(repository_sync, stream) for stream in shown if stream in streams]
    unfinished = [count for count in counts if not count.outcome]
    if unfinished:
        lookup = open_lookup(repository_sync.repository_id, reader=reader)
        for count in unfinished:
            search = Search(
                count=count, lookup=lookup, deadline_s=deadline_s, accepts_mass_deletions=accepts_mass_deletions
            )
            if not search.go_on():
                break
    short = tuple(count.stream for count in counts if count.outcome == Outcome.SHORT)
    return Found(is_complete=all(count.outcome for count in counts), short=short)


def mass_deletions(repository_sync: RepositorySync) -> list[str]:
    """Of which streams so much would be gone at once that nothing was marked as deleted, in words."""
    masses = StreamCount.objects.filter(repository_sync=repository_sync, outcome=Outcome.MASS).order_by("stream")
    return [
        f"{count.stream}: GitHub has {count.theirs}, here are {count.ours}; so many deletions at once are not believed,"
        " and nothing was marked as deleted. If they are true: manage.py reconcile --accept-mass-deletions"
        for count in masses
    ]


def count_again(repository_sync: RepositorySync, *, streams: Sequence[str]) -> None:
    """Forget what was counted of these streams, as they are to be read again."""
    StreamCount.objects.filter(repository_sync=repository_sync, stream__in=streams).delete()


def _row(repository_sync: RepositorySync, stream: str) -> StreamCount:
    row, _ = StreamCount.objects.get_or_create(repository_sync=repository_sync, stream=stream)
    row.repository_sync = repository_sync
    return row


@dataclass(kw_only=True)
class Search:
    """The search in one stream, from wherever it is: counting, listing, then confirming what is suspected."""

    count: StreamCount
    lookup: StreamLookup
    deadline_s: float
    accepts_mass_deletions: bool

    @property
    def of(self) -> Deletable:
        return DELETABLE[self.count.stream]

    @cached_property
    def surplus(self) -> int | None:
        """How many more GitHub may have; drafts that it shows once, and then not, are no measure."""
        found = find_surplus(self.count.repository_sync, stream=self.count.stream)
        return 0 if found is not None and self.of.excluded else found

    def go_on(self) -> bool:
        """Until it is over or the time is; whether it is over. Where it is, is kept, also when GitHub says no."""
        try:
            while not self.count.outcome:
                self._step()
                if time.monotonic() >= self.deadline_s:
                    break
        except ListTooLongError:
            self._end(Outcome.TOO_LONG)
        except RequestFailedError:
            self.count.save()
            raise
        self.count.save()
        return bool(self.count.outcome)

    def _step(self) -> None:
        place = self.count.place
        if "suspects" in place:
            self._confirm()
        elif "page" in place:
            self._list()
        elif "after" in place:
            self._search_issues()
        else:
            self._count()

    def _count(self) -> None:
        if self.of.needs_issues and not self.lookup.has_issues:
            self._end(Outcome.SHUT)
            return
        counted = self._counted()
        self.count.counted_at, self.count.theirs = counted.at, counted.total
        self.count.ours = len(self._ours())
        readings = self.count.place.get("readings", 0)
        lacking = None if self.surplus is None else counted.total - self.surplus - self.count.ours
        if lacking == 0:
            self._end(Outcome.AGREES)
        elif lacking is not None and lacking > 0 and not self.of.excluded:
            self._end(Outcome.SHORT)
        elif self.of.key == "number":
            self.count.place = {"after": 0, "found": []}
        else:
            self.count.place = {"page": 1, "count": 0, "listed": [], "readings": readings}

    def _counted(self) -> Counted:
        return self.lookup.count_issues() if self.of.key == "number" else self.lookup.count(self.of)

    def _ours(self) -> list[int]:
        """The keys of our rows that GitHub must have counted, as they are now."""
        rows = self.of.countable(self.lookup.repository_id, until=self._counted_until)
        return list(rows.order_by(self.of.key).values_list(self.of.key, flat=True))

    @property
    def _counted_until(self) -> datetime:
        return (self.count.counted_at or timezone.now()) - YOUNG

    def _list(self) -> None:
        place = self.count.place
        page = self.lookup.list_page(self.of, page=place["page"], until=self._counted_until)
        place["listed"] += page.ids
        self.count.place = {**place, "page": place["page"] + 1, "count": place["count"] + page.count}
        if not page.goes_on:
            self._compare()

    def _compare(self) -> None:
        """The list was read to its end: it has to come to GitHub's own count."""
        place = self.count.place
        if place["count"] != self.count.theirs:
            self._read_again(place["readings"] + 1)
            return
        ours, listed = self._ours(), set(place["listed"])
        known = dict(self.of.known(self.lookup.repository_id, listed).values_list(self.of.key, "deleted_at"))
        shown = {key for key in listed if known.get(key) is None}  # a deletion is final, whatever GitHub lists yet
        suspects = [key for key in ours if key not in listed]
        if self.surplus is None:
            self._suspect(suspects, at_most=len(suspects))
            return
        is_short = len(listed - known.keys()) > self.surplus
        self._suspect(suspects, at_most=len(ours) - len(shown) + self.surplus, is_short=is_short)

    def _read_again(self, readings: int) -> None:
        self.count.place = {"readings": readings}
        if readings >= MOST_READINGS:
            self._end(Outcome.UNSTEADY)

    def _search_issues(self) -> None:
        place, ours = self.count.place, self._ours()
        numbers = [number for number in ours if number > place["after"]][:AT_ONCE]
        found = place["found"] + (self.lookup.missing_issues(numbers) if numbers else [])
        self.count.place = {"after": numbers[-1] if numbers else place["after"], "found": found}
        if len(numbers) < AT_ONCE:
            suspects = sorted(set(found) & set(ours))
            expected = None if self.surplus is None else (self.count.theirs or 0) - self.surplus
            self._suspect(suspects, at_most=len(suspects) if expected is None else len(ours) - expected)

    def _suspect(self, suspects: Sequence[int], *, at_most: int, is_short: bool = False) -> None:
        """More suspects than the counts differ by: GitHub has others that are not here, so first it is read again."""
        if is_short or len(suspects) > at_most:
            self._end(Outcome.SHORT)
        elif self._is_mass(len(suspects)) and not self.accepts_mass_deletions:
            self._end(Outcome.MASS)
            self._log_mass(len(suspects))
        else:
            self.count.place = {"suspects": list(suspects)}

    def _is_mass(self, suspects: int) -> bool:
        return suspects > max(MOST_AT_A_TIME, (self.count.ours or 0) // SHARE_AT_A_TIME)

    def _log_mass(self, suspects: int) -> None:
        facts = {"repository_sync": self.count.repository_sync_id, "stream": self.count.stream, "suspects": suspects}
        logger.warning("mass_deletions_not_accepted", extra=facts)

    def _confirm(self) -> None:
        if self.count.place["suspects"]:
            confirm_some(self.count, self.of, lookup=self.lookup, deadline_s=self.deadline_s)
        if not self.count.place["suspects"]:
            self.count.ours = len(self._ours())
            self._end(Outcome.SETTLED)

    def _end(self, outcome: StreamCount.Outcome) -> None:
        self.count.outcome, self.count.place = outcome, {}
