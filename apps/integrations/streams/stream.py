"""A stream: one kind of a repository's history, and all that is particular to it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, QuerySet

from apps.activity.facts import Fact
from apps.activity.models import Installation
from apps.github.payload import write_time
from apps.github.probes import StreamProbe
from apps.github.responses import CORE, GRAPHQL, Answer
from apps.integrations.reader import Page, PageRequest, Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCost:
    """How a stream is read. Seconds are GitHub's; `nested` is how many lists each of its items has.

    Of `long_lists`, a share of its items, the lists are longer than a page shows, and cost another call.
    """

    resource: str = GRAPHQL
    call_s: float = 0.9
    item_s: float = 0.01
    nested: int = 0
    long_lists: float = 0.0


REST_COST = ReadCost(resource=CORE, call_s=0.6, item_s=0.004)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many there are, as GraphQL counts them: `fields` of the repository, and the `path` to the number.

    `is_bounded`: where a time is given, only those since then are counted.
    """

    fields: str
    path: tuple[str, ...]
    is_bounded: bool = False

    @classmethod
    def of_list(cls, name: str, *, arguments: str = "", is_bounded: bool = False) -> "Total":
        """Return the length of a list of the repository."""
        return cls(fields=f"{name}{arguments} {{ totalCount }}", path=(name, "totalCount"), is_bounded=is_bounded)

    def read(self, repository: Mapping[str, Any]) -> int:
        """Return the number; 0 where the path leads to nothing."""
        found: Any = repository
        for name in self.path:
            found = (found or {}).get(name)
        return int(found or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list of REST whose length GitHub shows: with one item on a page, by the number of the last page."""

    path: str

    def parameters(self, since: datetime | None) -> dict[str, Any]:
        """Return the parameters of a list since this time, one item a page."""
        return {"per_page": 1, **({"since": write_time(since)} if since else {})}

    def length(self, answer: Answer) -> int | None:
        """Return how many the answer says there are; None if it does not say."""
        return answer.last_page or len(answer.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletable:
    """How deletions are found: GitHub is asked for one item by its `key` at `path`.

    `made` is the column that says since when GitHub shows it.
    """

    noun: str
    model: type[Model]
    path: str
    permission: str
    """Without it GitHub says of each one that it is not there."""
    deleted: Callable[[Any, datetime], Fact]
    """The fact that a row was deleted by then."""
    key: str = "github_id"
    made: str = "created_at"
    excluded: Mapping[str, Any] = field(default_factory=dict)
    order: Mapping[str, str] = field(default_factory=dict)
    most_pages: int = 300
    needs_issues: bool = False
    """GitHub shows none of it while the repository has its issues switched off."""

    def is_shown_to(self, installation: Installation | None) -> bool:
        """Return whether GitHub shows it to the installation, as far as we know what that was permitted."""
        permissions = installation.permissions if installation else None
        return permissions is None or self.permission in permissions

    def here(self, repository_id: int) -> QuerySet[Any]:
        """Our rows that were described and are not deleted."""
        rows = self.model._default_manager.filter(repository=repository_id, deleted_at__isnull=True)
        return rows.exclude(stamp="")

    def countable(self, repository_id: int, *, until: datetime) -> QuerySet[Any]:
        """Return those of them that GitHub must have counted."""
        rows = self.here(repository_id).filter(**{f"{self.made}__lte": until})
        return rows.exclude(**self.excluded) if self.excluded else rows

    def known(self, repository_id: int, keys: Collection[int]) -> QuerySet[Any]:
        """Our rows of these keys, deleted or not."""
        return self.model._default_manager.filter(repository=repository_id, **{f"{self.key}__in": keys})


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """What is read of a repository by itself; backfills, coverage, drift and probes name it.

    `read` returns the page at the cursor, `skip_item` the one item there that is too much for a page of one: by another
    way, else skipped and named. `page_size` is how many items are asked for at first, `most` at the most. `events` are
    the webhooks that cover all of it, `entities` the kinds of facts that belong to it, `model` its rows.
    """

    name: str
    read: Callable[[PageRequest, Reader], Page]
    skip_item: Callable[[PageRequest, Reader], Page]
    events: tuple[str, ...]
    entities: tuple[str, ...]
    model: type[Model]
    probe: StreamProbe
    total: Total | Listing
    cost: ReadCost
    page_size: int = 100
    most: int = 100
    overlap: timedelta = timedelta(hours=1)
    """What was changed so long before the last pass is read again: clocks differ, and lists lag."""
    is_counted_weekly: bool = False
    """Whether GitHub's count and ours are compared every week, as nothing in a probe says that one is missing."""
    unfinished: str = ""
    """The SQL that finds, by repository, when the oldest was made that is not over yet."""
    is_run_again: bool = False
    """Whether what is over may start once more without a trace."""
    deletable: Deletable | None = None
    """None: its deletions are not searched."""

    @property
    def count_query(self) -> str:
        """Return the SQL that counts its rows by repository; deleted ones do not count."""
        try:
            self.model._meta.get_field("deleted_at")
        except FieldDoesNotExist:
            is_here = ""
        else:
            is_here = " AND deleted_at IS NULL"
        table = self.model._meta.db_table
        return (
            f"SELECT '{self.name}', repository_id, count(*) FROM {table}"  # noqa: S608  names of ours
            f" WHERE repository_id = ANY(%(ids)s){is_here} GROUP BY repository_id"
        )
