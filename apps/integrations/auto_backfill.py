"""Automatic backfills: of repositories that a listing newly reaches, and since the loss of those that come back."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Case, DateTimeField, Exists, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from apps.activity.facts import Stamp
from apps.activity.models import Repository, RepositoryAccess
from apps.github.payload import EPOCH
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill, RepositorySync
from apps.integrations.streams import STREAM_NAMES

MARGIN = timedelta(hours=1)
"""A loss is dated by our clock, and by when we were notified of it."""

OUT_OF_REACH = ("no_installation", "removed", "gone")
"""Reasons for which a backfill fails that lost access to its repository.

To an installation, a repository that moved to another one is gone.
"""


def read_history_of(repository_ids: Collection[int]) -> None:
    """Start backfills of repositories that were listed just now, where their history is not known yet.

    Doing so again starts nothing: each loss of access needs one backfill, and a new repository one.
    """
    listed = Repository.objects.filter(pk__in=repository_ids, deleted_at=None)
    wanted = [*_first_seen(listed).items(), *_broken_off(listed).items()]
    returned = _returned(listed)
    for scope, ids in wanted:
        start(Repository.objects.filter(pk__in=ids), scope=scope)
    for (lost_at, streams), ids in returned.items():
        scope = Scope(since=lost_at - MARGIN, streams=streams)
        start(Repository.objects.filter(pk__in=ids), scope=scope, lost_at=lost_at)


def last_reached(accesses: QuerySet[RepositoryAccess], *, before: datetime) -> dict[int, datetime | None]:
    """Return when each repository was last known to be reached, by its id; None where it is known that it no longer is.

    What was said after `before` is left out: the list of that time does not speak against it.
    """
    newest = (
        Backfill.objects.filter(repository=OuterRef("repository"))
        .annotate(read_at=Greatest("created_at", "advanced_at"))
        .order_by("-read_at")
    )
    probed = RepositorySync.objects.filter(repository=OuterRef("repository"), probed_at__isnull=False)
    last: dict[int, datetime | None] = {}
    for row in accesses.annotate(
        read_at=Subquery(newest.values("read_at")[:1]), probed_at=Subquery(probed.values("probed_at")[:1])
    ):
        said_at = Stamp.moment_of(row.stamp) or EPOCH
        if said_at <= before:
            seen_at = max(said_at, row.read_at or said_at, row.probed_at or said_at)
            last[row.repository_id] = seen_at if row.has_access else None
    return last


def _first_seen(repositories: QuerySet[Repository]) -> dict[Scope, list[int]]:
    """Return those of which nothing was ever read."""
    unread = repositories.filter(~Exists(Backfill.objects.filter(repository=OuterRef("pk"))))
    since = timezone.now() - timedelta(days=settings.BACKFILL_DAYS)
    return {Scope(since=since): list(unread.values_list("pk", flat=True))}


def _broken_off(repositories: QuerySet[Repository]) -> dict[Scope, list[int]]:
    """Return those whose backfills failed because no installation reached them, by what was being read.

    They begin again at the top: no webhook reported what changed meanwhile behind their cursors.
    """
    newest = (
        Backfill.objects.filter(repository__in=repositories)
        .order_by("repository", "stream", "-pk")
        .distinct("repository", "stream")
    )
    failed = Backfill.objects.filter(pk__in=newest.values("pk"), state=Backfill.State.FAILED, reason__in=OUT_OF_REACH)
    found: dict[Scope, list[int]] = defaultdict(list)
    for row in failed:
        found[Scope(since=row.since, until=row.until, streams=(row.stream,))].append(row.repository_id)
    return found


def _returned(repositories: QuerySet[Repository]) -> dict[tuple[datetime, tuple[str, ...]], list[int]]:
    """Return those that were out of reach for a while, by when they were lost and which streams were not read since.

    GitHub takes nothing back one by one when an installation ends or is suspended.
    """
    ended_at = Greatest("installation__deleted_at", "installation__last_suspended_at")
    with_installation = Case(When(has_access=True, then=ended_at), output_field=DateTimeField())
    losses = (
        RepositoryAccess.objects.filter(repository=OuterRef("pk"))
        .annotate(out_at=Greatest("lost_at", with_installation))
        .filter(out_at__isnull=False)
        .order_by("-out_at")
    )
    returned = repositories.annotate(
        out_at=Subquery(losses.values("out_at")[:1]), covered=ArraySubquery(_covering().values("stream"))
    ).filter(Exists(Backfill.objects.filter(repository=OuterRef("pk"))), out_at__isnull=False)
    found: dict[tuple[datetime, tuple[str, ...]], list[int]] = defaultdict(list)
    for repository_id, out_at, covered in returned.values_list("pk", "out_at", "covered"):
        if streams := tuple(stream for stream in STREAM_NAMES if stream not in covered):
            found[out_at, streams].append(repository_id)
    return found


def _covering() -> QuerySet[Backfill]:
    """Return the backfills that read, from a start after `out_at`, what changed since then; or that will."""
    left_start_at = Coalesce("started_at", "created_at")
    return Backfill.objects.annotate(left_start_at=left_start_at).filter(
        Q(left_start_at__gt=OuterRef("out_at")) | Q(started_at=None, state__in=Backfill.UNFINISHED),
        Q(since=None) | Q(since__lte=OuterRef("out_at")),
        repository=OuterRef("pk"),
        until=None,
    )
