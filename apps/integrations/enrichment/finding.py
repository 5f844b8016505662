"""Which pull requests lack the commits of their current head, and which installation is to be asked for them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from apps.activity.models import PullRequest, RepositoryAccess
from apps.integrations.backfill.walking import Errand
from apps.integrations.models import Backfill, Enrichment, EnrichmentAttempt
from apps.integrations.reaching import installation_reaching, readable_installations

SETTLED = timedelta(seconds=3)
"""A pull request that changed a moment ago changes again: a push and an opening come together. A read two seconds
after its last change also counts for more than any webhook of it."""

LOOKED_AT = 200
"""What one look finds, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A pull request and the head whose commits are missing."""

    id: int
    repository_id: int
    full_name: str
    number: int
    head_sha: str

    def errand(self) -> Errand:
        """What its longer lists are finished with, as a walk finishes its own."""
        return Errand(
            repository_id=self.repository_id,
            full_name=self.full_name,
            since=None,
            until=None,
            started_at=timezone.now(),
            cursor="",
            page_size=1,
        )


def due_installations() -> list[int]:
    """The ids of the installations that may be asked now, and reach a pull request that is due.

    Of very many that are due the latest are looked at: those of an installation that is being asked are out of the way.
    """
    resting = Enrichment.objects.resting().filter(installation=OuterRef("installation"))
    free = RepositoryAccess.objects.filter(
        ~Exists(resting), has_access=True, installation__in=readable_installations().values("pk")
    )
    due = _latest(reached_by=free).values_list("repository_id", flat=True)
    reaching = free.filter(repository__in=set(due)).values_list("installation_id", flat=True)
    return sorted(set(reaching))


def find_wanted(installation_id: int, *, most: int) -> list[Wanted]:
    """The pull requests that this installation is to be asked for, those that changed last coming first."""
    reached = RepositoryAccess.objects.filter(installation=installation_id, has_access=True)
    columns = ("pk", "repository_id", "repository__full_name", "number", "head_sha")
    found = [
        Wanted(id=pk, repository_id=repository_id, full_name=full_name, number=number, head_sha=head_sha)
        for pk, repository_id, full_name, number, head_sha in _latest(reached_by=reached).values_list(*columns)
    ]
    reaching = installation_reaching({one.repository_id for one in found})
    return [one for one in found if reaching.get(one.repository_id) == installation_id][:most]


def still_unlisted(wanted: Collection[Wanted]) -> set[Wanted]:
    """Those of them whose commits are still missing, of the same head."""
    heads = dict(unlisted().filter(pk__in=[one.id for one in wanted]).values_list("pk", "head_sha"))
    return {one for one in wanted if heads.get(one.id) == one.head_sha}


def unlisted() -> QuerySet[PullRequest]:
    """Pull requests whose current head has no complete list of commits; they have an index of their own."""
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
        repository__deleted_at=None,
        updated_at__gte=Now() - timedelta(days=settings.BACKFILL_DAYS),
        updated_at__lte=Now() - SETTLED,
    )


def _latest(*, reached_by: QuerySet[RepositoryAccess]) -> QuerySet[PullRequest]:
    """The latest of those that are due and reached in this way, in the order of their index.

    The planner takes what is missing for almost everything. Inside COALESCE it asks each row who reaches it, until
    enough are found; else it would go from repository to repository, and read all of them.
    """
    is_reached = Exists(reached_by.filter(repository=OuterRef("repository")))
    return due_pull_requests().filter(Coalesce(is_reached, False)).order_by("-updated_at")[:LOOKED_AT]
