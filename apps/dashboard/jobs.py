"""The page of jobs: what runs, what waits for what and until when, what failed and what to do."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.common.db import is_id
from apps.jobs.changes import CHANGES, JobsBusyError
from apps.jobs.models import Job, JobQuerySet
from apps.jobs.registry import known_kind
from apps.jobs.status import JobStatus, jobs_administered_by, jobs_visible_to, status_of, title_of, with_subjects
from apps.users.access import is_operator

State = Job.State
JOBS_PER_PAGE = 50
UNTOUCHED = timedelta(minutes=3)
SHOWN: Mapping[str, Callable[[JobQuerySet[Job]], JobQuerySet[Job]]] = {
    "all": lambda jobs: jobs.open_or_failed(),
    "failed": lambda jobs: jobs.failures(),
    "running": lambda jobs: jobs.filter(state=State.RUNNING),
    "waiting": lambda jobs: jobs.filter(state=State.WAITING),
    "paused": lambda jobs: jobs.filter(state=State.PAUSED),
}


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


def changes_of(states: Collection[str]) -> Iterator[str]:
    """Yield the changes that jobs in these states allow."""
    if State.FAILED in states:
        yield "retry"
    if State.PAUSED in states:
        yield "resume"
    if {State.WAITING, State.RUNNING} & set(states):
        yield "pause"
    if set(Job.UNFINISHED) & set(states):
        yield "cancel"


def are_stuck(jobs: JobQuerySet[Any]) -> bool:
    """Return whether some of the jobs have been due for minutes and no worker runs any."""
    since = timezone.now() - UNTOUCHED
    if not jobs.filter(state=State.WAITING, not_before__lt=since).exists():
        return False
    return not (jobs.filter(state=State.RUNNING).exists() or jobs.unfinished().filter(advanced_at__gte=since).exists())


@require_safe
@login_required
def jobs(request: HttpRequest) -> HttpResponse:
    """Show the jobs that are not done, of the repositories that the user may see; operators see every job."""
    show = request.GET.get("show", "all")
    if show not in SHOWN:
        raise Http404(f"There is no list {show!r}.")
    mine = jobs_visible_to(request.user)
    counts = {name: narrow(mine).order_by().count() for name, narrow in SHOWN.items()}
    page = Paginator(with_subjects(SHOWN[show](mine)).order_by("-id"), JOBS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "jobs": shown_jobs(list(page), user=request.user),
        "show": show,
        "switch": list(counts.items()),
        "kept": f"show={show}",
        "are_stuck": is_operator(request.user) and are_stuck(Job.objects.all()),
    }
    return render(request, "dashboard/jobs.html", context)


def shown_jobs(rows: Sequence[Any], *, user: Any) -> list[ShownJob]:
    """Return the jobs with their state, and whether the user may change each."""
    now = timezone.now()
    administered = jobs_administered_by(user).filter(pk__in=[row.pk for row in rows])
    may_change = set(administered.order_by().values_list("pk", flat=True))
    return [
        ShownJob(row=row, title=title_of(row), status=status_of(row, now=now), may_change=row.pk in may_change)
        for row in rows
    ]


@require_POST
@login_required
def change(request: HttpRequest) -> HttpResponse:
    """Pause, resume, cancel or retry a job of a repository that the user administers."""
    named, verb = request.POST.get("job", ""), request.POST.get("change", "")
    if verb not in CHANGES or not is_id(named):
        raise Http404("There is no such action.")
    job = get_object_or_404(with_subjects(jobs_visible_to(request.user)), pk=int(named))
    if not jobs_administered_by(request.user).filter(pk=job.pk).exists():
        raise PermissionDenied
    try:
        is_changed = CHANGES[verb].apply(Job.objects.filter(pk=job.pk))
    except JobsBusyError as error:
        messages.error(request, str(error))
    else:
        words = f"{title_of(job)}: {CHANGES[verb].done if is_changed else CHANGES[verb].refusal}"
        messages.add_message(request, messages.SUCCESS if is_changed else messages.WARNING, words)
    return redirect(f"{reverse('jobs')}?{request.GET.urlencode()}")
