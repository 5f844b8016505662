"""Queries of the refresh: pull requests that lack the commits of their head, and the request for many of them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from apps.activity.models import PullRequest, RepositoryAccess
from apps.github.responses import REFUSALS, Answer
from apps.integrations.models import Backfill, RefreshFailure
from apps.integrations.readable_installations import installation_reaching, readable_installations
from apps.integrations.reader import PageRequest, Reader, RequestFailedError
from apps.integrations.streams.pull_request_parts import Found, errors_below, node_found
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.jobs.models import Job
from apps.webhooks.parsing import WRONG_SHAPE
from apps.webhooks.translate import describe

REFRESH = "refresh_pull_requests"
SETTLED = timedelta(seconds=3)
"""A pull request that changed a moment ago changes again: a push and an opening come together. A read two seconds
after its last change also counts for more than any webhook of it."""

LOOKED_AT = 200
"""The most that one query finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A pull request and the head whose commits are missing."""

    id: int
    repository_id: int
    full_name: str
    number: int
    head_sha: str

    def request(self) -> PageRequest:
        """Return the request by which its longer lists are read to their end."""
        return PageRequest(
            repository_id=self.repository_id,
            full_name=self.full_name,
            since=None,
            until=None,
            started_at=timezone.now(),
            cursor="",
            page_size=1,
        )


def due_installations() -> list[int]:
    """Return the ids of the installations that may be asked now and reach a pull request that is due.

    Of very many that are due only the latest are looked at, without those of an installation that is asked already.
    """
    resting = Job.objects.filter(kind=REFRESH, installation=OuterRef("installation")).resting()
    free = RepositoryAccess.objects.filter(
        ~Exists(resting), has_access=True, installation__in=readable_installations().values("pk")
    )
    due = _latest(reached_by=free).values_list("repository_id", flat=True)
    reaching = free.filter(repository__in=set(due)).values_list("installation_id", flat=True)
    return sorted(set(reaching))


def find_wanted(installation_id: int, *, most: int) -> list[Wanted]:
    """Return the pull requests that this installation is asked for; those that changed last come first."""
    reached = RepositoryAccess.objects.filter(installation=installation_id, has_access=True)
    columns = ("pk", "repository_id", "repository__full_name", "number", "head_sha")
    found = [
        Wanted(id=pk, repository_id=repository_id, full_name=full_name, number=number, head_sha=head_sha)
        for pk, repository_id, full_name, number, head_sha in _latest(reached_by=reached).values_list(*columns)
    ]
    reaching = installation_reaching({one.repository_id for one in found})
    return [one for one in found if reaching.get(one.repository_id) == installation_id][:most]


def still_unlisted(wanted: Collection[Wanted]) -> set[Wanted]:
    """Return those of them whose commits are still missing, for the same head."""
    heads = dict(unlisted().filter(pk__in=[one.id for one in wanted]).values_list("pk", "head_sha"))
    return {one for one in wanted if heads.get(one.id) == one.head_sha}


def unlisted() -> QuerySet[PullRequest]:
    """Return pull requests whose current head has no complete list of commits; they have an index of their own."""
    return PullRequest.objects.filter(~Q(listed_head_sha=F("head_sha")))


def due_pull_requests() -> QuerySet[PullRequest]:
    """Return those that do not change at this moment, are as young as history is read, and that no backfill will read.

    An unfinished backfill reads all that last changed before it was started.
    """
    reading = Backfill.objects.unfinished().filter(
        Q(since=None) | Q(since__lte=OuterRef("updated_at")),
        Q(until=None) | Q(until__gte=OuterRef("created_at")),
        repository=OuterRef("repository"),
        stream=PULL_REQUESTS.name,
        created_at__gte=OuterRef("updated_at"),
    )
    resting = RefreshFailure.objects.resting().filter(
        repository=OuterRef("repository"), number=OuterRef("number"), head_sha=OuterRef("head_sha")
    )
    return unlisted().filter(
        ~Exists(reading),
        ~Exists(resting),
        repository__deleted_at=None,
        updated_at__gte=Now() - timedelta(days=settings.BACKFILL_DAYS),
        updated_at__lte=Now() - SETTLED,
    )


def _latest(*, reached_by: QuerySet[RepositoryAccess]) -> QuerySet[PullRequest]:
    """Return the latest of those that are due and reached in this way, in the order of their index.

    The planner takes what is missing for almost everything. Inside COALESCE it asks each row who reaches it, until
    enough are found; else it would go from repository to repository, and read all of them.
    """
    is_reached = Exists(reached_by.filter(repository=OuterRef("repository")))
    return due_pull_requests().filter(Coalesce(is_reached, False)).order_by("-updated_at")[:LOOKED_AT]


MOST = 25
"""As many places as the document has: 125 connections are a point, 30 pull requests would be two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The result for one pull request: what was found, or why there is nothing."""

    wanted: Wanted
    found: Found = field(default_factory=Found)
    why: str = ""


def read_by_number(batch: Sequence[Wanted], *, reader: Reader) -> list[Read]:
    """Return each pull request of the batch as GitHub shows it; RequestFailedError if the whole request failed."""
    try:
        answer = reader.graphql("pull_requests_by_number", variables(batch))
    except RequestFailedError as unanswered:
        refused = list(_refused(unanswered.answer, batch))
        if len(refused) < len(batch):
            raise
        return refused
    return [_read(wanted, answer=answer, name=_name(place)) for place, wanted in enumerate(batch)]


def variables(batch: Sequence[Wanted]) -> dict[str, Any]:
    """Return the variables of the document, in as many of its places as are needed."""
    asked: dict[str, Any] = {}
    for place, wanted in enumerate(batch):
        owner, _, name = wanted.full_name.partition("/")
        asked |= {f"has{place}": True, f"owner{place}": owner, f"name{place}": name, f"number{place}": wanted.number}
    return asked


def _name(place: int) -> str:
    return f"at{place}"


def _refused(answer: Answer, batch: Sequence[Wanted]) -> Iterator[Read]:
    """Yield those that the answer refuses by name; if it refuses all of them, the request itself is not refused."""
    for place, wanted in enumerate(batch):
        words = _words(answer, _name(place))
        if answer.kind in REFUSALS and words:
            yield Read(wanted=wanted, why=words)


def _read(wanted: Wanted, *, answer: Answer, name: str) -> Read:
    repository = answer.data.get(name)
    if repository is None:
        return Read(wanted=wanted, why=_words(answer, name) or "GitHub does not show the repository.")
    if repository.get("databaseId") not in {None, wanted.repository_id}:
        return Read(wanted=wanted, why=f"Another repository is {wanted.full_name} now.")
    node = repository.get("pullRequest")
    if node is None:
        return Read(wanted=wanted, why=_words(answer, name) or "GitHub does not show the pull request.")
    try:
        found = node_found(
            node,
            errors=errors_below(answer, (name, "pullRequest")),
            repository_id=wanted.repository_id,
            observed_at=answer.observed_at or timezone.now(),
        )
    except WRONG_SHAPE as error:
        return Read(wanted=wanted, why=describe(error))
    return Read(wanted=wanted, found=found, why="; ".join(skipped.why for skipped in found.skipped))


def _words(answer: Answer, name: str) -> str:
    return "; ".join(error.message or error.type for error in errors_below(answer, (name,)))
