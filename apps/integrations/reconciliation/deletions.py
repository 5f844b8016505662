"""The search for deletions: rows that GitHub counts no more are looked for in its lists, then one by one.

A row is marked as deleted only if GitHub answers that it is gone: not if an answer is missing, if a list broke off or
does not come to its own count, or if so many are gone at once that a person has to accept it; and never more rows than
the counts differ by.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.activity.comparison import Entity
from apps.activity.facts import evidence
from apps.activity.record import entity_key, record
from apps.common import db
from apps.github.payload import parse_time
from apps.github.responses import Answer, ResponseKind
from apps.integrations.drift import add, find, source_of
from apps.integrations.models import DriftedEntity, RepositorySync, StreamCount
from apps.integrations.reader import PageRequest, Reader, RequestFailedError
from apps.integrations.reconciliation.local_state import find_surplus
from apps.integrations.streams import STREAMS
from apps.integrations.streams.paging import read_list, read_repository, read_rows
from apps.integrations.streams.pull_request_parts import errors_below
from apps.integrations.streams.stream import Deletable
from apps.webhooks.parsing import UnusablePayloadError

PAGE_SIZE = 100
YOUNG = timedelta(minutes=1)
"""A younger item may be in one list of GitHub's and not yet in another, and its webhook may not have arrived."""
MOST_SUSPECTS = 10
LONGEST_WAIT_S = 6.0
MOST_AT_A_TIME, SHARE_AT_A_TIME = 10, 4
"""A person has to accept more deletions at once than ten, and than a quarter of the rows here."""
MOST_READINGS = 3
Outcome = StreamCount.Outcome
DELETABLE = {name: stream.deletable for name, stream in STREAMS.items() if stream.deletable}
logger = logging.getLogger(__name__)


class ListTooLongError(Exception):
    """GitHub does not list all of the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many GitHub had at an instant by its own clock, of those that were created until `until`."""

    total: int
    at: datetime

    @property
    def until(self) -> datetime:
        return self.at - YOUNG


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """A page of a list: how many are old enough to count, the ids of those that can be, and whether more follows."""

    count: int
    ids: tuple[int, ...]
    goes_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLookup:
    """Counts and lists a stream on GitHub to find deletions; RequestFailedError proves nothing about them."""

    repository_id: int
    full_name: str
    has_issues: bool
    reader: Reader

    @property
    def request(self) -> PageRequest:
        now = timezone.now()
        return PageRequest(
            repository_id=self.repository_id,
            full_name=self.full_name,
            since=None,
            until=None,
            started_at=now,
            cursor="",
            page_size=PAGE_SIZE,
        )

    def count_issues(self) -> Counted:
        """Count issues, which only GraphQL separates from pull requests."""
        answer = self.reader.graphql("issue_count", self._named())
        page, at = read_list(read_repository(answer, self.request).child("issues")), _answered_at(answer)
        return Counted(total=(page.total or 0) - _young(page.nodes, "createdAt", at=at), at=at)

    def count(self, of: Deletable) -> Counted:
        """Count by the newest page and the length of the last one; ListTooLongError if GitHub's list is cut off."""
        newest = self._ask(of, page=1, direction="desc")
        found, at, last = read_rows(newest), _answered_at(newest), newest.last_page
        young = _young(found, of.made, at=at)
        if last is None:
            return Counted(total=len(found) - young, at=at)
        if last >= of.most_pages:
            raise ListTooLongError
        final = read_rows(self._ask(of, page=last, direction="desc"))
        return Counted(total=(last - 1) * PAGE_SIZE + len(final) - young, at=at)

    def list_page(self, of: Deletable, *, page: int, until: datetime) -> ListPage:
        """Return a page of the list, oldest first if GitHub can, so that new items come last."""
        if page > of.most_pages:
            raise ListTooLongError
        answer = self._ask(of, page=page, direction="asc")
        old = [item for item in read_rows(answer) if not _is_after(item.get(of.made), until)]
        ids = tuple(int(item["id"]) for item in old if not any(item.get("draft") for _ in of.excluded))
        return ListPage(count=len(old), ids=ids, goes_on=answer.next_path is not None)

    def missing_issues(self, numbers: Sequence[int]) -> list[int]:
        """Return those of up to a hundred issues that GitHub does not find, or finds in another repository."""
        asked: dict[str, Any] = dict(self._named())
        for place, number in enumerate(numbers):
            asked |= {f"has{place}": True, f"number{place}": number}
        answer = self.reader.graphql("issues_by_number", asked)
        read_repository(answer, self.request)
        shown = answer.data["repository"]
        return [number for place, number in enumerate(numbers) if self._is_elsewhere(answer, shown, f"at{place}")]

    def _is_elsewhere(self, answer: Answer, shown: Mapping[str, Any], name: str) -> bool:
        """Return whether it was not found, or found in another repository; null for another reason proves nothing."""
        found = shown.get(name)
        if found is not None:
            return bool(found["repository"]["databaseId"] != self.repository_id)
        return {error.type for error in errors_below(answer, ("repository", name))} == {"NOT_FOUND"}

    def is_gone(self, of: Deletable, row: Any) -> bool:
        """Return whether GitHub answers that this row is gone; RequestFailedError if it does not answer."""
        try:
            answer = self.reader.get(f"{self.request.address}{of.path}/{getattr(row, of.key)}")
        except RequestFailedError as refusal:
            if refusal.answer.kind is ResponseKind.GONE:
                return True
            raise
        if not isinstance(answer.data, Mapping):
            raise UnusablePayloadError("shape_mismatch", f"a {of.noun} is {type(answer.data).__name__}, not an object")
        # A transferred issue redirects to another one there. One that keeps its id is not deleted.
        return of.key == "number" and answer.data.get("id") != row.github_id

    def confirm_repository(self) -> datetime:
        """Return when GitHub showed the repository; RequestFailedError if it does not, which proves no deletion."""
        return _answered_at(self.reader.get(self.request.address))

    def _ask(self, of: Deletable, *, page: int, direction: str) -> Answer:
        order = {**of.order, "direction": direction} if of.order else {}
        return self.reader.get(f"{self.request.address}{of.path}", {"per_page": PAGE_SIZE, "page": page, **order})

    def _named(self) -> dict[str, str]:
        return {"owner": self.request.owner, "name": self.request.name}


def open_lookup(repository_id: int, *, reader: Reader) -> StreamLookup:
    """Return a lookup in the repository that GitHub shows now; RequestFailedError if it shows none."""
    answer = reader.get(f"/repositories/{repository_id}")
    seen = answer.data if isinstance(answer.data, Mapping) else {}
    if seen.get("id") != repository_id:
        raise UnusablePayloadError("shape_mismatch", f"GitHub shows no repository {repository_id} at its own address")
    return StreamLookup(
        repository_id=repository_id,
        full_name=str(seen["full_name"]),
        has_issues=seen.get("has_issues") is not False,
        reader=reader,
    )


def _answered_at(answer: Answer) -> datetime:
    return answer.observed_at or timezone.now()


def _young(items: Sequence[Any], made: str, *, at: datetime) -> int:
    return sum(_is_after(item.get(made), at - YOUNG) for item in items)


def _is_after(text: object, moment: datetime) -> bool:
    """Return whether a time of GitHub's is later; an item without one, such as a draft, is not later."""
    made_at = parse_time(text)
    return made_at is not None and made_at > moment


def confirm_some(count: StreamCount, of: Deletable, *, lookup: StreamLookup, deadline_s: float) -> None:
    """Ask for the next suspects, one by one, and mark those as deleted that are gone; at least one of them.

    It marks only if GitHub still shows the repository afterwards. Marks and progress are committed in one transaction.
    """
    suspects: list[int] = count.place["suspects"]
    asked, gone = list[int](), list[int]()
    for key, row in _rows(of, suspects[:MOST_SUSPECTS], repository_id=lookup.repository_id):
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
    """Return each key with its row, None if a webhook deleted it meanwhile."""
    found = of.here(repository_id).filter(**{f"{of.key}__in": keys})
    by_key = {getattr(row, of.key): row for row in found}
    return [(key, by_key.get(key)) for key in keys]


def _mark(count: StreamCount, of: Deletable, gone: Sequence[int], *, at: datetime) -> None:
    """Mark rows as deleted now, as their time is unknown; one that a webhook marked already does not count again."""
    repository_id, sync_id = count.repository_sync.repository_id, count.repository_sync_id
    rows = of.here(repository_id).filter(pk__in=gone).order_by("pk").select_for_update()
    facts = [of.deleted(row, at) for row in rows]
    entities = [Entity(fact.entity, entity_key(fact)) for fact in facts]
    find(dict.fromkeys(entities, DriftedEntity.Finding.DELETED), repository_sync_id=sync_id)
    add({count.stream: {"deleted": len(facts)}}, repository_sync_id=sync_id)
    record([evidence(source_of(sync_id), facts)])


@dataclass(frozen=True, slots=True)
class Found:
    """The state of the search: whether it is over, and the streams of which GitHub has rows that are missing here."""

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
    """Count the streams and mark what is deleted, until `deadline_s` of time.monotonic(); another task continues.

    Begin it when the backfills of the run are over. RequestFailedError if GitHub does not answer: the next call
    continues. A stream that is `short` has to be read again, after `count_again`.
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
            if not search.run():
                break
    short = tuple(count.stream for count in counts if count.outcome == Outcome.SHORT)
    return Found(is_complete=all(count.outcome for count in counts), short=short)


def _row(repository_sync: RepositorySync, stream: str) -> StreamCount:
    row, _ = StreamCount.objects.get_or_create(repository_sync=repository_sync, stream=stream)
    row.repository_sync = repository_sync
    return row


@dataclass(kw_only=True)
class Search:
    """The search in one stream, continued where it is: counting, listing, then confirming suspects."""

    count: StreamCount
    lookup: StreamLookup
    deadline_s: float
    accepts_mass_deletions: bool

    @property
    def of(self) -> Deletable:
        return DELETABLE[self.count.stream]

    @cached_property
    def surplus(self) -> int | None:
        """Return how many more GitHub may have, 0 for a stream whose drafts it hides."""
        found = find_surplus(self.count.repository_sync, stream=self.count.stream)
        return 0 if found is not None and self.of.excluded else found

    def run(self) -> bool:
        """Search until the end or the deadline; return whether it is over. The state is saved, also after an error."""
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
        """Return the keys of our rows that GitHub must have counted, as they are now."""
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
        """Compare the list, read to its end, with our rows; it has to come to GitHub's own count."""
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
        numbers = [number for number in ours if number > place["after"]][:PAGE_SIZE]
        found = place["found"] + (self.lookup.missing_issues(numbers) if numbers else [])
        self.count.place = {"after": numbers[-1] if numbers else place["after"], "found": found}
        if len(numbers) < PAGE_SIZE:
            suspects = sorted(set(found) & set(ours))
            expected = None if self.surplus is None else (self.count.theirs or 0) - self.surplus
            self._suspect(suspects, at_most=len(suspects) if expected is None else len(ours) - expected)

    def _suspect(self, suspects: Sequence[int], *, at_most: int, is_short: bool = False) -> None:
        """Choose the suspects; if they are more than the counts differ by, the stream is read again first."""
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
