"""Which jobs a user may see and change, and what each job is about."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Coalesce

from apps.activity.models import Repository
from apps.jobs.models import Job, JobQuerySet
from apps.jobs.registry import JobKind, kinds, known_kind
from apps.teams.visibility import repositories_administered_by, repositories_visible_to
from apps.users.access import is_operator

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
