"""The page of jobs of every kind: what runs, what waits for what and until when, what failed and what to do."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.activity.models import Installation, Repository
from apps.common.db import is_id
from apps.dashboard.addresses import query_string
from apps.dashboard.operations.backfill_progress import (
    History,
    changes_of,
    histories_of,
    limits_of,
    repositories_with_history,
)
from apps.integrations.models import Backfill
from apps.jobs.changes import CHANGES, JobsBusyError
from apps.jobs.models import Job, JobQuerySet
from apps.jobs.registry import known_kind
from apps.jobs.status import (
    JobStatus,
    ids_of_jobs_of,
    jobs_administered_by,
    jobs_visible_to,
    status_of,
    title_of,
    with_subjects,
)
from apps.teams.models import Team
from apps.teams.visibility import repositories_administered_by, repositories_visible_to
from apps.users.access import is_operator

State = Job.State
REPOSITORIES_PER_PAGE, JOBS_PER_PAGE = 10, 20
MOST_LIMITS = 20
UNTOUCHED = timedelta(minutes=3)
SHOWN = ("all", State.RUNNING, State.WAITING, State.PAUSED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownJob:
    """A job as a user may see and change it."""

    row: Any
    title: str
    status: JobStatus
    may_change: bool

    @property
    def changes(self) -> Iterator[str]:
        """Yield the changes that its state allows."""
        kind = known_kind(self.row)
        hidden = "cancel" if kind and kind.recurs else ""
        return (name for name in changes_of([self.row.state]) if name != hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a list, and the query strings of the parts before and after it; empty without any."""

    rows: list[Any]
    previous: str
    next: str


def part_of(request: HttpRequest, rows: Any, *, name: str, size: int) -> Part:
    """Return the part of the rows whose number is in the address, without counting them all."""
    asked = request.GET.get(name, "1")
    number = int(asked) if is_id(asked) and 0 < int(asked) < 10**6 else 1
    found = list(rows[(number - 1) * size : number * size + 1])
    return Part(
        rows=found[:size],
        previous=query_string(request, **{name: str(number - 1)}) if number > 1 else "",
        next=query_string(request, **{name: str(number + 1)}) if len(found) > size else "",
    )


def are_stuck(jobs: JobQuerySet[Any]) -> bool:
    """Return whether some of the jobs have been due for minutes and no worker runs any."""
    since = timezone.now() - UNTOUCHED
    if not jobs.filter(state=State.WAITING, not_before__lt=since).exists():
        return False
    return not (jobs.filter(state=State.RUNNING).exists() or jobs.unfinished().filter(advanced_at__gte=since).exists())


@require_safe
@login_required
def jobs(request: HttpRequest) -> HttpResponse:
    """Show the jobs of the repositories that the user may see, history by repository; operators see every job."""
    show = request.GET.get("show", "all")
    if show not in SHOWN:
        raise Http404(f"There is no list {show!r}.")
    state, user = "" if show == "all" else show, request.user
    term = request.GET.get("q", "").strip()
    visible = repositories_visible_to(user)
    named = visible.filter(full_name__icontains=term) if term else visible
    repositories = part_of(
        request, repositories_with_history(named, state=state), name="page", size=REPOSITORIES_PER_PAGE
    )
    others = part_of(
        request, other_jobs(user, state=state, named=named if term else None), name="jobs_page", size=JOBS_PER_PAGE
    )
    administered = administered_among(user, repositories.rows, others.rows)
    histories = histories_of(repositories.rows, administered=administered)
    counts = counts_of(jobs_visible_to(user))
    context = {
        "repositories": repositories,
        "histories": histories,
        "others": others,
        "jobs": shown_jobs(others.rows, administered=administered, is_all=is_operator(user)),
        "limits": limits_of(installations_of(user, histories)),
        "show": show,
        "term": term,
        "switch": [(name, counts.get(name, 0) if name != "all" else sum(counts.values())) for name in SHOWN],
        "is_live": request.GET.get("live") != "off",
        "live_switch": [("Live", query_string(request, live=None)), ("Paused", query_string(request, live="off"))],
        "here": request.get_full_path(),
        "kept": query_string(request, show=None, page=None, jobs_page=None),
        "query": request.GET.urlencode(),
        "are_stuck": is_operator(user) and are_stuck(Job.objects.all()),
        **about(user),
    }
    return render(request, "dashboard/operations/jobs.html", context)


def counts_of(jobs: JobQuerySet[Any]) -> dict[str, int]:
    """Return how many of the jobs that are not done are in each state."""
    counted = jobs.open_or_failed().order_by().values_list("state").annotate(count=Count("pk"))
    return dict(counted)


def other_jobs(user: Any, *, state: str, named: QuerySet[Repository] | None) -> JobQuerySet[Any]:
    """Return the jobs that are not done and load no history, the newest first."""
    mine = jobs_visible_to(user)
    if named is not None:
        mine = mine.filter(pk__in=ids_of_jobs_of(named))
    if state == State.FAILED:
        narrowed = mine.failures()
    else:
        narrowed = mine.filter(state=state) if state else mine.open_or_failed()
    return with_subjects(narrowed.exclude(kind=Backfill.KIND)).order_by("-id")


def administered_among(user: Any, repositories: Sequence[Repository], jobs: Sequence[Any]) -> Collection[int]:
    """Return the ids of those repositories of which the user may change the jobs."""
    ids = {repository.pk for repository in repositories} | {row.repository_id for row in jobs if row.repository_id}
    if is_operator(user):
        return ids
    return set(repositories_administered_by(user).filter(pk__in=ids).values_list("pk", flat=True))


def shown_jobs(rows: Sequence[Any], *, administered: Collection[int], is_all: bool) -> list[ShownJob]:
    """Return the jobs with their state, and whether the user may change each."""
    now = timezone.now()
    return [
        ShownJob(
            row=row,
            title=title_of(row),
            status=status_of(row, now=now),
            may_change=is_all or row.repository_id in administered,
        )
        for row in rows
    ]


def installations_of(user: Any, histories: Sequence[History]) -> QuerySet[Installation]:
    """Return the installations whose limits concern the user: of an operator all, else those that load history."""
    if is_operator(user):
        first = Installation.objects.filter(deleted_at=None).order_by("pk").values("pk")[:MOST_LIMITS]
        return Installation.objects.filter(pk__in=first)
    rows = [row for history in histories for row in history.rows if row.state in Job.UNFINISHED]
    return Installation.objects.filter(pk__in={row.installation_id for row in rows})


def about(user: Any) -> dict[str, Any]:
    """Return the team that the user may load history of, and whether there is any that they may see."""
    if is_operator(user):
        return {"may_start": True, "has_team": True}
    may_start = Team.objects.administered_by(user).exists()
    return {"may_start": may_start, "has_team": may_start or Team.objects.visible_to(user).exists()}


@require_POST
@login_required
def change(request: HttpRequest) -> HttpResponse:
    """Pause, resume, cancel or retry a job of a repository that the user administers."""
    key, verb = asked_in(request, "job")
    job = get_object_or_404(with_subjects(jobs_visible_to(request.user)), pk=key)
    if not jobs_administered_by(request.user).filter(pk=job.pk).exists():
        raise PermissionDenied
    count = apply(request, Job.objects.filter(pk=job.pk), verb=verb)
    if count is not None:
        add_message(
            request, f"{title_of(job)}: {CHANGES[verb].done if count else CHANGES[verb].refusal}", is_done=bool(count)
        )
    return redirect(f"{reverse('jobs')}?{request.GET.urlencode()}")


@require_POST
@login_required
def change_history(request: HttpRequest) -> HttpResponse:
    """Pause, resume, cancel or retry all backfills of a repository that the user administers."""
    key, verb = asked_in(request, "repository")
    repository = get_object_or_404(repositories_visible_to(request.user), pk=key)
    if not repositories_administered_by(request.user).filter(pk=repository.pk).exists():
        raise PermissionDenied
    count = apply(request, Backfill.objects.filter(repository=repository), verb=verb)
    if count is not None:
        words = f"{repository}: {count} backfill{'' if count == 1 else 's'} {CHANGES[verb].done}."
        add_message(request, words, is_done=bool(count))
    return redirect(f"{reverse('jobs')}?{request.GET.urlencode()}")


def asked_in(request: HttpRequest, name: str) -> tuple[int, str]:
    """Return the id of what is to be changed, and the change."""
    named, verb = request.POST.get(name, ""), request.POST.get("change", "")
    if verb not in CHANGES or not is_id(named):
        raise Http404("There is no such action.")
    return int(named), verb


def apply(request: HttpRequest, jobs: JobQuerySet[Any], *, verb: str) -> int | None:
    """Return how many jobs were changed; None, with a message, if others change them."""
    try:
        return CHANGES[verb].apply(jobs)
    except JobsBusyError as error:
        messages.error(request, str(error))
        return None


def add_message(request: HttpRequest, words: str, *, is_done: bool) -> None:
    messages.add_message(request, messages.SUCCESS if is_done else messages.WARNING, words)
