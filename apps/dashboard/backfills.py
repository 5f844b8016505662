"""The page of backfills: their state by repository and stream, and the form that changes them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.activity.models import Installation, Repository
from apps.common.db import is_id
from apps.dashboard.jobs import are_stuck, changes_of
from apps.integrations.backfill.status import budgets_of
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.changes import CHANGES, JobsBusyError
from apps.jobs.status import JobStatus, eta_s_of, size_of, status_of
from apps.teams.models import Team
from apps.teams.visibility import repositories_administered_by, repositories_visible_to
from apps.users.access import is_operator

State = Backfill.State
ORDER = {stream: place for place, stream in enumerate(STREAM_NAMES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBackfill:
    """The newest backfill of a stream."""

    row: Backfill
    status: JobStatus

    @property
    def is_queued(self) -> bool:
        """Return whether it only waits to be started."""
        return self.row.state == State.WAITING and not (self.row.started_at or self.status.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The newest backfills of a repository, as a user may see and change them."""

    repository: Repository
    streams: tuple[StreamBackfill, ...]
    eta_s: float | None
    may_change: bool

    @property
    def begun(self) -> list[StreamBackfill]:
        return [each for each in self.streams if not each.is_queued]

    @property
    def queued(self) -> list[StreamBackfill]:
        return [each for each in self.streams if each.is_queued]

    @property
    def bounds(self) -> Backfill | None:
        """Return a row with the bounds of all rows, if they are the same."""
        return self.rows[0] if len({(row.since, row.until) for row in self.rows}) == 1 else None

    @property
    def rows(self) -> list[Backfill]:
        return [each.row for each in self.streams]

    @property
    def states(self) -> Mapping[str, int]:
        """Return the number of backfills by state, in the order of the states; empty states are left out."""
        counted = Counter(row.state for row in self.rows)
        return {state: counted[state] for state in State.values if counted[state]}

    @property
    def is_open(self) -> bool:
        """Return whether any backfill is not done."""
        return set(self.states) != {State.DONE}

    @property
    def read(self) -> int:
        return sum(row.items for row in self.rows)

    @property
    def total(self) -> int | None:
        """Return the number of items of all streams; None while one is unknown."""
        sizes = [size_of(row) for row in self.rows]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def calls(self) -> int:
        return sum(row.calls for row in self.rows)

    @property
    def points(self) -> int:
        return sum(row.points for row in self.rows)

    @property
    def started_at(self) -> datetime:
        return max(row.created_at for row in self.rows)

    @property
    def changes(self) -> Iterator[str]:
        """Yield the changes that the states allow."""
        return changes_of(self.states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An hourly rate limit of the App on an account."""

    account: str
    resource: str
    left: int
    limit: int
    resets_at: datetime


def repositories_with_history(user: Any) -> QuerySet[Repository]:
    """Return the user's repositories with backfills: unfinished ones first, then by the newest start."""
    rows = Backfill.objects.filter(repository=OuterRef("pk"))
    return (
        repositories_visible_to(user)
        .annotate(newest=Subquery(rows.order_by("-id").values("id")[:1]), is_unfinished=Exists(rows.unfinished()))
        .filter(newest__isnull=False)
        .order_by("-is_unfinished", "-newest")
    )


def failing(repositories: QuerySet[Repository]) -> QuerySet[Repository]:
    """Return the repositories with a failed backfill that was not started again."""
    later = Backfill.objects.filter(repository=OuterRef("repository"), stream=OuterRef("stream"), pk__gt=OuterRef("pk"))
    failed = Backfill.objects.filter(~Exists(later), repository=OuterRef("pk"), state=State.FAILED)
    return repositories.filter(Exists(failed))


def histories_of(repositories: Sequence[Repository], *, user: Any) -> list[History]:
    """Return the newest backfill of each stream of the repositories, in their order."""
    now = timezone.now()
    ids = [repository.pk for repository in repositories]
    newest = Backfill.objects.filter(repository__in=ids).order_by("repository", "stream", "-pk")
    streams = defaultdict(list)
    for row in newest.distinct("repository", "stream"):
        streams[row.repository_id].append(StreamBackfill(row=row, status=status_of(row, now=now)))
    administered = set(repositories_administered_by(user).filter(pk__in=ids).values_list("pk", flat=True))
    return [
        History(
            repository=repository,
            streams=tuple(sorted(streams[repository.pk], key=lambda each: ORDER.get(each.row.stream, len(ORDER)))),
            eta_s=eta_s_of([each.row for each in streams[repository.pk]], now=now),
            may_change=repository.pk in administered,
        )
        for repository in repositories
    ]


def limits_of(histories: Sequence[History]) -> list[Limit]:
    """Return the rate limits of the installations with unfinished backfills."""
    known = budgets_of([row for history in histories for row in history.rows if row.state in Backfill.UNFINISHED])
    installations = Installation.objects.filter(pk__in=known).select_related("account").order_by("pk")
    return [
        Limit(
            account=str(installation.account or installation),
            resource=budget.resource,
            left=budget.remaining,
            limit=budget.limit,
            resets_at=datetime.fromtimestamp(budget.resets_at, UTC),
        )
        for installation in installations
        for budget in known[installation.pk]
    ]


REPOSITORIES_PER_PAGE = 20
REFRESH_EVERY_S = 10
SHOWN: Mapping[str, Callable[[Any], QuerySet[Repository]]] = {
    "all": lambda repositories: repositories,
    "unfinished": lambda repositories: repositories.filter(is_unfinished=True),
    "failed": failing,
}


@require_safe
@login_required
def backfills(request: HttpRequest) -> HttpResponse:
    """Show the backfills of the repositories that the user may see."""
    show = request.GET.get("show", "all")
    if show not in SHOWN:
        raise Http404(f"There is no list {show!r}.")
    mine = repositories_with_history(request.user)
    paginators = {name: Paginator(narrow(mine), REPOSITORIES_PER_PAGE) for name, narrow in SHOWN.items()}
    page = paginators[show].get_page(request.GET.get("page"))
    histories = histories_of(list(page), user=request.user)
    context = {
        "page": page,
        "histories": histories,
        "limits": limits_of(histories),
        "show": show,
        "switch": [(name, paginator.count) for name, paginator in paginators.items()],
        "is_refreshing": "watch" in request.GET,
        "kept": f"show={show}{'&watch=on' if 'watch' in request.GET else ''}",
        **about(request.user),
    }
    answer = render(request, "dashboard/backfills.html", context)
    if context["is_refreshing"]:
        answer["Refresh"] = str(REFRESH_EVERY_S)
    return answer


@require_POST
@login_required
def change(request: HttpRequest) -> HttpResponse:
    """Pause, resume, cancel or retry the backfills of a repository that the user administers."""
    named, verb = request.POST.get("repository", ""), request.POST.get("change", "")
    if verb not in CHANGES or not is_id(named):
        raise Http404("There is no such action.")
    repository = get_object_or_404(repositories_visible_to(request.user), pk=int(named))
    if not repositories_administered_by(request.user).filter(pk=repository.pk).exists():
        raise PermissionDenied
    try:
        apply_change(request, repository, verb=verb)
    except JobsBusyError as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('backfills')}?{request.GET.urlencode()}")


def apply_change(request: HttpRequest, repository: Repository, *, verb: str) -> None:
    """Apply the change and add a message with the number of changed backfills."""
    count = CHANGES[verb].apply(Backfill.objects.filter(repository=repository))
    words = f"{repository}: {count} backfill{'' if count == 1 else 's'} {CHANGES[verb].done}."
    messages.add_message(request, messages.SUCCESS if count else messages.WARNING, words)


def about(user: Any) -> dict[str, Any]:
    """Return what the empty page offers the user, and whether an operator should look at the workers."""
    administered = Team.objects.administered_by(user).order_by("slug")
    return {
        "team": administered.first(),
        "has_team": Team.objects.visible_to(user).exists(),
        "are_stuck": is_operator(user) and are_stuck(Backfill.objects.all()),
    }
