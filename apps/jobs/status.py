"""Jobs for people: which ones a user may see and change, what each is about, and its state.

The state says how far it is, what it waits for and until when, why it failed, and what to do.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Coalesce

from apps.activity.models import Repository
from apps.jobs.models import Job, JobQuerySet
from apps.jobs.registry import JobKind, Words, kinds, known_kind
from apps.teams.visibility import repositories_administered_by, repositories_visible_to
from apps.users.access import is_operator

State = Job.State
ALMOST = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """The state of a job now.

    `percent` is below 100 until it is done, None while GitHub has not said how much there is; `why` says what it waits
    for or why it ended, `advice` what to do: both are empty where there is nothing to say.
    """

    percent: int | None
    eta_s: float | None
    waits_until: datetime | None
    why: str
    advice: str


def status_of(job: Job, *, now: datetime) -> JobStatus:
    """Return the state of the job now."""
    why, advice = _explain(job)
    return JobStatus(
        percent=percent_of(job),
        eta_s=eta_s_of([job], now=now),
        waits_until=waits_until_of(job, now=now),
        why=why,
        advice=advice,
    )


def percent_of(job: Job) -> int | None:
    """Return how much of what there is was read, in whole percents."""
    if job.state == State.DONE:
        return 100
    if job.total is None:
        return None
    return min(ALMOST, 100 * job.items // max(job.total, job.items, 1))


def size_of(job: Job) -> int | None:
    """Return how many items the job will have read at its end, as far as is known."""
    if job.state not in Job.UNFINISHED:
        return job.items
    return None if job.total is None else max(job.total, job.items)


def waits_until_of(job: Job, *, now: datetime) -> datetime | None:
    """Return the time before which the job does not go on; None where it does not wait for a time."""
    return job.not_before if job.state == State.WAITING and job.not_before > now else None


def eta_s_of(jobs: Sequence[Job], *, now: datetime) -> float | None:
    """Return the seconds until these jobs are done, if they go on as before; None where that is unknown."""
    unfinished = [job for job in jobs if job.state in Job.UNFINISHED]
    if not unfinished:
        return None
    return remaining_s(
        unfinished, rate=items_per_s(jobs, now=now), waits_until=first_wait_of(unfinished, now=now), now=now
    )


def items_per_s(jobs: Sequence[Job], *, now: datetime) -> float | None:
    """Return the items read per second since the first of the jobs left its start; None before anything was read."""
    begun = [job.started_at for job in jobs if job.started_at is not None]
    read = sum(job.items for job in jobs if job.started_at is not None)
    if not begun or not read:
        return None
    ends = [job.finished_at for job in jobs]
    end = now if None in ends else max(moment for moment in ends if moment is not None)
    return read / max(1.0, (end - min(begun)).total_seconds())


def remaining_s(
    unfinished: Sequence[Job], *, rate: float | None, waits_until: datetime | None, now: datetime
) -> float | None:
    """Return the seconds until the jobs whose size is known are done, if they go on as before."""
    if not unfinished:
        return 0.0
    sized = [job for job in unfinished if job.state != State.PAUSED and size_of(job) is not None]
    if rate is None or not sized:
        return None
    left = sum((size_of(job) or 0) - job.items for job in sized)
    wait_s = (waits_until - now).total_seconds() if waits_until else 0.0
    return wait_s + left / rate


def first_wait_of(unfinished: Sequence[Job], *, now: datetime) -> datetime | None:
    """Return when the first of the jobs may go on, if none may now."""
    active = [job for job in unfinished if job.state != State.PAUSED]
    if not active or any(job.state == State.RUNNING or job.not_before <= now for job in active):
        return None
    return min(job.not_before for job in active)


def _explain(job: Job) -> tuple[str, str]:
    kind = known_kind(job)
    particular = kind.words if kind else {}
    match State(job.state):
        case State.WAITING:
            return particular.get(job.reason) or WAITS.get(job.reason) or (_spaced(job.reason), "")
        case State.FAILED:
            return FAILS.get(job.reason) or (_spaced(job.reason), LOOK_AND_RETRY)
        case State.PAUSED:
            return PAUSED
        case _:
            return "", ""


def _spaced(reason: str) -> str:
    return reason.replace("_", " ")


Jobs = JobQuerySet[Job]


def jobs_visible_to(user: Any) -> Jobs:
    """Return every job for an operator; for other users those of repositories that they may see."""
    return _jobs_for(user, repositories_visible_to)


def jobs_administered_by(user: Any) -> Jobs:
    """Return every job for an operator; for other users those of repositories whose team they are an admin of."""
    return _jobs_for(user, repositories_administered_by)


def ids_of_jobs_of(repositories: QuerySet[Repository]) -> QuerySet[Any, Any]:
    """Return the ids of the jobs of the repositories, whatever their kind."""
    found = [_ids_of(kind, repositories) for kind in _of_repositories()]
    return found[0].union(*found[1:], all=True) if found else Job.objects.none().values("pk")


def with_subjects(jobs: Jobs) -> JobQuerySet[Any]:
    """Return the jobs with the repository, the part of it and the account that each is about."""
    of_repositories = _of_repositories()
    return jobs.select_related("installation__account").annotate(
        repository_id=_first(kind.repository for kind in of_repositories),
        repository_name=_first(f"{kind.repository}__full_name" for kind in of_repositories),
        part=_first(kind.part for kind in of_repositories if kind.part),
    )


def subject_of(job: Any) -> str:
    """Return what the job, which came `with_subjects`, is about."""
    if job.repository_name:
        return f"{job.part.replace('_', ' ')} of {job.repository_name}" if job.part else str(job.repository_name)
    if job.installation is not None:
        return f"installation {job.installation_id} on {job.installation.account or 'an unknown account'}"
    return str(job.key)


def title_of(job: Any) -> str:
    """Return what the job, which came `with_subjects`, does, and of what."""
    kind = known_kind(job)
    return f"{kind.title if kind else job.kind}: {subject_of(job)}"


def _jobs_for(user: Any, repositories_for: Callable[[Any], QuerySet[Repository]]) -> Jobs:
    return Job.objects.all() if is_operator(user) else Job.objects.filter(pk__in=ids_of_jobs_of(repositories_for(user)))


def _ids_of(kind: JobKind, repositories: QuerySet[Repository]) -> QuerySet[Any, Any]:
    row, _, repository = kind.repository.partition("__")
    particular: Any = Job._meta.get_field(row).related_model
    is_theirs = {f"{repository}__in": repositories.order_by().values("pk")}
    ids: QuerySet[Any, Any] = particular._default_manager.filter(**is_theirs).order_by().values("pk")
    return ids


def _of_repositories() -> list[JobKind]:
    return [kind for kind in kinds() if kind.repository]


def _first(lookups: Iterable[str]) -> Any:
    found = [F(lookup) for lookup in lookups]
    match found:
        case []:
            return Value(None, output_field=TextField())
        case [only]:
            return only
        case _:
            return Coalesce(*found)


LOOK_AND_RETRY = "Check GitHub's message, then retry: it continues where it stopped."

PAUSED = ("Paused.", "Resume it to continue where it stopped.")

WAITS: Words = {
    "": ("", ""),
    "busy": ("Other jobs of the installation are running.", ""),
    "spent": ("GitHub's hourly rate limit is used up, except for a reserve for live work.", ""),
    "blocked": ("GitHub asked us to slow down.", ""),
    "token_refused": (
        "GitHub refuses the installation's token, or returns none; retrying with increasing waits.",
        "`manage.py doctor` shows GitHub's message.",
    ),
    "unanswered": ("GitHub did not answer; retrying with increasing waits.", ""),
    "timed_out": ("A page took too long; retrying.", ""),
    "gone": ("GitHub says that the repository does not exist; retrying.", ""),
    "not_recorded": ("A page could not be stored; retrying.", ""),
    "database": ("The database was briefly unavailable.", ""),
    "statement_failed": ("A statement failed in the database; retrying with increasing waits.", ""),
    "no_credentials": (
        "The App ID and private key are not configured.",
        "Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE; this continues automatically within 5 minutes.",
    ),
    "suspended": (
        "The App is suspended on the account.",
        "Unsuspend it in the account's settings on GitHub; this continues automatically within 15 minutes.",
    ),
    "app_refused": (
        "GitHub refuses the App's own key.",
        "Check GITHUB_APP_ID and the App's private key; this continues automatically within 5 minutes.",
    ),
}

FAILS: Words = {
    "unanswered": ("GitHub did not answer for about an hour.", "Retry when githubstatus.com has nothing to report."),
    "timed_out": ("It took too long every time.", "Retry when GitHub is faster; it continues where it stopped."),
    "crashed": ("Its worker crashed every time.", "Check the memory and the log of the workers, then retry."),
    "removed": ("The App was removed from the account.", "Install it there again, then retry."),
    "no_installation": (
        "No installation of the App has access to the repository.",
        "Give the App access to it on GitHub, then retry.",
    ),
    "gone": ("GitHub says that the repository does not exist.", "If it does, retry."),
    "not_recorded": ("A page could not be stored after all attempts.", "Check the log of the workers, then retry."),
    "unusable": (
        "GitHub's answer cannot be used, even for a single item.",
        "Retry after an upgrade; report it if it stays so.",
    ),
    "forbidden": (
        "GitHub does not let the App read this.",
        "Give the App the permission in GitHub's message, accept it on the account, then retry.",
    ),
    "rejected": ("GitHub rejects the request.", "Retry after an upgrade; report it if it stays so."),
    "unknown_stream": (
        "This version of tformance does not know the stream.",
        "Upgrade to the version that started it, then retry.",
    ),
    "unknown_kind": (
        "This version of tformance does not know the kind of job.",
        "Upgrade to the version that started it, then retry.",
    ),
    "cursor_refused": ("GitHub no longer accepts the cursor.", "Retry: it starts again, and nothing is counted twice."),
}
