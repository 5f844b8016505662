"""Which pull requests lack the commits of their current head, and which installation is to be asked for them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.activity.models import PullRequest, RepositoryAccess
from apps.integrations.models import Backfill, Enrichment, EnrichmentAttempt
from apps.integrations.reaching import installation_reaching, readable_installations

SETTLED = timedelta(seconds=3)
"""A pull request that changed a moment ago changes again: a push and an opening come together. A read two seconds
after its last change also counts for more than any webhook of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A pull request and the head whose commits are missing."""

    id: int
    repository_id: int
    full_name: str
    number: int
    head_sha: str


def due_installations() -> QuerySet[RepositoryAccess, int]:
    """The ids of the installations that may be asked now, and reach a pull request that is due."""
    resting = Enrichment.objects.resting().filter(installation=OuterRef("installation"))
    accesses = _accesses().filter(~Exists(resting), installation__in=readable_installations().values("pk"))
    return accesses.values_list("installation_id", flat=True).order_by("installation_id").distinct()


def find_wanted(installation_id: int, *, most: int) -> list[Wanted]:
    """The pull requests that this installation is to be asked for, those that changed last coming first."""
    accesses = _accesses().filter(installation=installation_id)
    reaching = installation_reaching(list(accesses.values_list("repository_id", flat=True)))
    mine = [repository for repository, installation in reaching.items() if installation == installation_id]
    rows = due_pull_requests().filter(repository__in=mine).order_by("-updated_at", "-pk")[:most]
    columns = rows.values_list("pk", "repository_id", "repository__full_name", "number", "head_sha")
    return [
        Wanted(id=pk, repository_id=repository_id, full_name=full_name, number=number, head_sha=head_sha)
        for pk, repository_id, full_name, number, head_sha in columns
    ]


def still_unlisted(wanted: Collection[Wanted]) -> set[Wanted]:
    """Those of them whose commits are still missing, of the same head."""
    heads = dict(unlisted().filter(pk__in=[one.id for one in wanted]).values_list("pk", "head_sha"))
    return {one for one in wanted if heads.get(one.id) == one.head_sha}


def unlisted() -> QuerySet[PullRequest]:
    """Pull requests whose current head has no complete list of commits; the condition of its own index."""
    return PullRequest.objects.filter(~Q(listed_head_sha=F("head_sha")))


def due_pull_requests() -> QuerySet[PullRequest]:
    """Those that are not changing this very moment, are as young as history is read, and that nothing else will read.

    A walk through history that is not finished reads all that last changed before it was asked for.
    """
    walking = Backfill.objects.unfinished().filter(
        Q(since=None) | Q(since__lte=OuterRef("updated_at")),
        Q(until=None) | Q(until__gte=OuterRef("created_at")),
        repository=OuterRef("repository"),
        stream=Backfill.Stream.PULL_REQUESTS,
        created_at__gte=OuterRef("updated_at"),
    )
    resting = EnrichmentAttempt.objects.resting().filter(
        repository=OuterRef("repository"), number=OuterRef("number"), head_sha=OuterRef("head_sha")
    )
    return unlisted().filter(
        ~Exists(walking),
        ~Exists(resting),
        updated_at__gte=Now() - timedelta(days=settings.BACKFILL_DAYS),
        updated_at__lte=Now() - SETTLED,
    )


def _accesses() -> QuerySet[RepositoryAccess]:
    """What reaches a repository with a pull request that is due."""
    due = due_pull_requests().filter(repository=OuterRef("repository"))
    return RepositoryAccess.objects.filter(Exists(due), has_access=True, repository__deleted_at=None)
