"""The history of what a listing newly reaches is read by itself, and that of what comes back since it was lost."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, DateTimeField, Exists, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Greatest
from django.utils import timezone

from apps.activity.facts import Stamp
from apps.activity.models import Repository, RepositoryAccess
from apps.integrations.backfill.starting import Scope, start
from apps.integrations.github.reading import EPOCH
from apps.integrations.models import Backfill

MARGIN = timedelta(hours=1)
"""A loss is dated by our clock, and by when we were told of it."""

OUT_OF_REACH = ("no_installation", "removed", "gone")
"""Why a walk fails whose repository was taken from us: `outcomes`, `claiming` and `advancing` name them.

To an installation, a repository that moved to another one is gone.
"""


def read_history_of(repository_ids: Collection[int]) -> None:
    """Start walks through the history of repositories that were listed just now, where it is not known yet.

    Doing so again starts nothing: each loss of access calls for one walk, and a first sight for one.
    """
    listed = Repository.objects.filter(pk__in=repository_ids, deleted_at=None)
    wanted = [*_first_seen(listed).items(), *_broken_off(listed).items(), *_returned(listed).items()]
    for scope, ids in wanted:
        start(Repository.objects.filter(pk__in=ids), scope=scope)


def last_reached(accesses: QuerySet[RepositoryAccess], *, before: datetime) -> dict[int, datetime | None]:
    """When each repository was last known to be reached, by its id; None where it is known that it no longer is.

    What was said after `before` is left out: the list of that time does not speak against it.
    """
    newest = (
        Backfill.objects.filter(repository=OuterRef("repository"))
        .annotate(read_at=Greatest("created_at", "advanced_at"))
        .order_by("-read_at")
    )
    last: dict[int, datetime | None] = {}
    for row in accesses.annotate(read_at=Subquery(newest.values("read_at")[:1])):
        said_at = Stamp.moment_of(row.stamp) or EPOCH
        if said_at <= before:
            last[row.repository_id] = max(said_at, row.read_at or said_at) if row.has_access else None
    return last


def _first_seen(repositories: QuerySet[Repository]) -> dict[Scope, list[int]]:
    """Those of which nothing was ever read."""
    unread = repositories.filter(~Exists(Backfill.objects.filter(repository=OuterRef("pk"))))
    since = timezone.now() - timedelta(days=settings.BACKFILL_DAYS)
    return {Scope(since=since): list(unread.values_list("pk", flat=True))}


def _broken_off(repositories: QuerySet[Repository]) -> dict[Scope, list[int]]:
    """Those whose walks failed because nobody reached them, by what was being read.

    They begin again at the top: what changed meanwhile, behind where they were, nobody told us.
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


def _returned(repositories: QuerySet[Repository]) -> dict[Scope, list[int]]:
    """Those that were out of reach for a while and were not read since, by when they were lost.

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
    covering = Backfill.objects.filter(
        Q(created_at__gt=OuterRef("out_at"), since__isnull=True)
        | Q(created_at__gt=OuterRef("out_at"), since__lte=OuterRef("out_at"))
        | Q(state__in=Backfill.UNFINISHED),
        repository=OuterRef("pk"),
    )
    returned = repositories.annotate(out_at=Subquery(losses.values("out_at")[:1])).filter(
        Exists(Backfill.objects.filter(repository=OuterRef("pk"))), ~Exists(covering), out_at__isnull=False
    )
    found: dict[Scope, list[int]] = defaultdict(list)
    for repository_id, out_at in returned.values_list("pk", "out_at"):
        found[Scope(since=out_at - MARGIN)].append(repository_id)
    return found
