"""How much there is to be read, asked of GitHub before anything is started."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess
from apps.github.payload import parse_time, write_time
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import Answer, ResponseKind, Result
from apps.integrations.backfill.start import Scope
from apps.integrations.outcomes import BUSY
from apps.integrations.streams import STREAMS
from apps.integrations.streams.issues import ISSUES
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import Listing, Total

MOST_AT_ONCE = 20
"""Six counts each: with so many repositories it is still a point, by GitHub's formula (150 requests would be two)."""


COUNTED = {name: stream.total for name, stream in STREAMS.items() if isinstance(stream.total, Total)}
LISTED = {name: stream.total for name, stream in STREAMS.items() if isinstance(stream.total, Listing)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What GitHub counts in a repository, by stream: of some only those since, if a time was given."""

    created_at: datetime
    items: Mapping[str, int]


def totals_query(full_names: Sequence[str], *, since: datetime | None) -> tuple[str, dict[str, Any]]:
    """Return the document that counts in all of these repositories, and its variables.

    No list of pull requests can be bounded by when they were updated; a search can, and is counted without its results.
    """
    places = range(len(full_names))
    declared = "".join(f", $owner{place}: String!, $name{place}: String!, $updated{place}: String!" for place in places)
    asked = "".join(_ASKED.format(place=place) for place in places)
    totals = _TOTALS.format(fields="\n  ".join(total.fields for total in COUNTED.values()))
    text = f"query Totals({_SHARED}{declared}) {{ rateLimit {{ cost }} {asked} }}\n{totals}"
    bound = write_time(since) if since else None
    variables: dict[str, Any] = {"since": bound, "committedSince": bound, "isBounded": bound is not None}
    for place, full_name in enumerate(full_names):
        owner, _, name = full_name.partition("/")
        updated = f"repo:{full_name} is:pr updated:>={bound}" if bound else ""
        variables |= {f"owner{place}": owner, f"name{place}": name, f"updated{place}": updated}
    return text, variables


_SHARED = "$since: DateTime, $committedSince: GitTimestamp, $isBounded: Boolean!"
_ASKED = """
    repository{place}: repository(owner: $owner{place}, name: $name{place}) {{ ...RepositoryTotals }}
    updated{place}: search(query: $updated{place}, type: ISSUE) @include(if: $isBounded) {{ issueCount }}
"""
_TOTALS = """
fragment RepositoryTotals on Repository {{
  databaseId
  createdAt
  {fields}
}}
"""


def read_totals(data: Mapping[str, Any], place: int, *, repository_id: int) -> Totals | None:
    """Return the counts of the repository at this place; None where it is missing, or another has its name."""
    found = data.get(f"repository{place}")
    if not isinstance(found, Mapping) or found.get("databaseId") not in {None, repository_id}:
        return None
    items = {name: total.read(found) for name, total in COUNTED.items()}
    if updated := data.get(f"updated{place}"):
        items[PULL_REQUESTS.name] = updated["issueCount"]
    return Totals(created_at=parse_time(found["createdAt"]) or datetime.now(UTC), items=items)


PURPOSE = Purpose(priority=Priority.BACKFILL, subject="forecast")
CLOSED = {ResponseKind.DEFERRED, ResponseKind.PRIMARY, ResponseKind.SECONDARY, ResponseKind.AUTH}
AGAIN_S = 0.5
MOMENT = timedelta(seconds=1)
TOO_LATE = "There was no time left to count it; `manage.py backfill --dry-run` takes as long as it needs."
NOT_THERE = "GitHub shows no such repository to the installation."


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """What could not be counted, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much counting may take. For `patience_s` it waits where others ask at the moment.

    Comments and runs cost a call for each list and repository: they are counted in the `most_by_rest` largest, and
    estimated from those in the rest. After `deadline_s`, of time.monotonic(), nothing more is asked; None is no bound.
    """

    patience_s: float = 0.0
    most_by_rest: int = 25
    deadline_s: float | None = None

    @property
    def is_over(self) -> bool:
        return self.deadline_s is not None and time.monotonic() >= self.deadline_s


@dataclass(slots=True, kw_only=True)
class Counting:
    """Counts what one installation's repositories hold."""

    access: GitHubAccess
    installation_id: int
    scope: Scope
    effort: Effort
    items: dict[int, dict[str, int]] = field(default_factory=dict)
    """By repository and stream."""
    estimated: set[str] = field(default_factory=set)
    uncounted: list[Uncounted] = field(default_factory=list)
    _closed: Answer | None = None

    def count(self, repositories: Sequence[Repository]) -> None:
        """Fill in `items`; a repository that could not be counted is in `uncounted` instead."""
        for start in range(0, len(repositories), MOST_AT_ONCE):
            self._count_together(repositories[start : start + MOST_AT_ONCE])
        largest = sorted(
            (repository for repository in repositories if repository.pk in self.items),
            key=lambda repository: -self._weight(repository.pk),
        )
        for stream in LISTED:
            if stream in self.scope.streams:
                self._count_by_rest(stream, largest)

    def _count_together(self, repositories: Sequence[Repository]) -> None:
        text, variables = totals_query([repository.full_name for repository in repositories], since=self.scope.since)
        answer = self._ask(
            lambda: self.access.graphql(text, variables, installation_id=self.installation_id, purpose=PURPOSE)
        )
        if answer.kind is ResponseKind.SHRINK and len(repositories) > 1:
            half = len(repositories) // 2
            self._count_together(repositories[:half])
            self._count_together(repositories[half:])
            return
        reasons = {error.path[0]: error.message for error in answer.errors if error.path}
        for place, repository in enumerate(repositories):
            found = read_totals(answer.data, place, repository_id=repository.pk) if answer.data else None
            if found is None:
                why = reasons.get(f"repository{place}") or answer.message or NOT_THERE
                self.uncounted.append(Uncounted(what=str(repository), why=why))
            else:
                self.items[repository.pk] = self._items(found)

    def _items(self, found: Totals) -> dict[str, int]:
        """Return the counts; what is listed by creation has none since a time, so it is spread evenly over its life."""
        if self.scope.since is None:
            return dict(found.items)
        now = timezone.now()
        share = min(1.0, (now - self.scope.since) / max(now - found.created_at, MOMENT))
        unbounded = {name for name, total in COUNTED.items() if not total.is_bounded} - {PULL_REQUESTS.name}
        self.estimated |= unbounded & set(self.scope.streams)
        return {name: round(count * share) if name in unbounded else count for name, count in found.items.items()}

    def _weight(self, repository_id: int) -> int:
        """Return the weight by which comments and runs are estimated."""
        items = self.items[repository_id]
        return items[PULL_REQUESTS.name] + items[ISSUES.name] + 1

    def _count_by_rest(self, stream: str, largest: Sequence[Repository]) -> None:
        counted = {}
        for repository in largest[: self.effort.most_by_rest]:
            found = self._count_list(stream, repository)
            if isinstance(found, int):
                counted[repository.pk] = found
            else:
                self.uncounted.append(Uncounted(what=f"{stream} of {repository}", why=found))
        each = sum(counted.values()) / max(1, sum(self._weight(pk) for pk in counted))
        if len(counted) < len(largest):
            self.estimated.add(stream)
        for repository in largest:
            pk = repository.pk
            self.items[pk][stream] = counted[pk] if pk in counted else round(each * self._weight(pk))

    def _count_list(self, stream: str, repository: Repository) -> int | str:
        """Return how long a list is, else why that is not known: a page of one item says how many pages there are."""
        listing = LISTED[stream]
        parameters = listing.parameters(self.scope.since)
        path = f"/repositories/{repository.pk}{listing.path}"
        answer = self._ask(
            lambda: self.access.get(path, installation_id=self.installation_id, purpose=PURPOSE, parameters=parameters)
        )
        if answer.kind is not ResponseKind.OK:
            return answer.message
        length = listing.length(answer)
        return "GitHub does not say how many there are." if length is None else length

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        """Ask; once a limit was met, or the time is over, nothing more is asked, and every answer says so."""
        if self._closed is not None:
            return self._closed
        if self.effort.is_over:
            self._closed = Answer(result=Result(kind=ResponseKind.DEFERRED, message=TOO_LATE))
            return self._closed
        deadline_s = time.monotonic() + self.effort.patience_s
        answer = call()
        while _is_busy(answer) and time.monotonic() < deadline_s and not self.effort.is_over:
            time.sleep(AGAIN_S)
            answer = call()
        if answer.kind in CLOSED:
            answer = replace(answer, result=replace(answer.result, message=_closed_words(answer)))
            self._closed = answer
        return answer


def _is_busy(answer: Answer) -> bool:
    return answer.kind is ResponseKind.DEFERRED and answer.message == BUSY


def _closed_words(answer: Answer) -> str:
    if answer.kind is ResponseKind.AUTH:
        return answer.message
    if _is_busy(answer):
        return "Others ask GitHub at the moment; try again."
    until = datetime.fromtimestamp(answer.not_before, UTC) if answer.not_before else None
    return f"GitHub's limit is spent until {until:%H:%M:%S} UTC." if until else "GitHub's limit is spent."
