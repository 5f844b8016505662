"""Jobs over the API: what runs, what waits for what and until when, what failed, and what to do."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypedDict

import django_filters
from django.db.models import QuerySet
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, generics, serializers, status
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from apps.activity.models import Repository
from apps.common.api import AnyOfFilter, NewestFirst, OnlyKnownParameters
from apps.common.db import is_id
from apps.jobs.changes import CHANGES, Change, JobsBusyError
from apps.jobs.models import Job
from apps.jobs.registry import kinds
from apps.jobs.status import (
    JobStatus,
    ids_of_jobs_of,
    jobs_administered_by,
    jobs_visible_to,
    status_of,
    title_of,
    with_subjects,
)

ONLY_ADMINS = "Only operators, and admins of a team that tracks the repository, may do this."


class SkippedSerializer(serializers.Serializer[Any]):
    """Something that GitHub could not show; the job went on without it."""

    what = serializers.CharField(help_text="Such as `pull request 17`.")
    why = serializers.CharField()


class StatusSerializer(serializers.ModelSerializer[Any]):
    """The state of a job in words and numbers."""

    percent = serializers.SerializerMethodField()
    eta_s = serializers.SerializerMethodField()
    waits_until = serializers.SerializerMethodField()
    why = serializers.SerializerMethodField()
    advice = serializers.SerializerMethodField()
    skipped = SkippedSerializer(many=True, help_text="What GitHub could not show.")

    def get_percent(self, job: Job) -> int | None:
        """The share that was read; below 100 until it is done, null while the total is unknown."""
        return self._status(job).percent

    def get_eta_s(self, job: Job) -> float | None:
        """Seconds until it is done, if it goes on as before; null where that is unknown."""
        return self._status(job).eta_s

    def get_waits_until(self, job: Job) -> datetime | None:
        """The time until which it waits; null if it does not wait."""
        return self._status(job).waits_until

    def get_why(self, job: Job) -> str:
        """The reason why it waits or failed; empty without one."""
        return self._status(job).why

    def get_advice(self, job: Job) -> str:
        """The advice to an operator; empty if nothing has to be done."""
        return self._status(job).advice

    def _status(self, job: Job) -> JobStatus:
        return status_of(job, now=timezone.now())


class LabelDocument(TypedDict):
    id: int
    full_name: str


class JobSerializer(StatusSerializer):
    """A piece of durable work."""

    title = serializers.SerializerMethodField()
    repository = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = (
            "id",
            "kind",
            "key",
            "title",
            "repository",
            "installation_id",
            "state",
            "reason",
            "why",
            "advice",
            "error",
            "total",
            "items",
            "percent",
            "eta_s",
            "not_before",
            "waits_until",
            "skipped",
            "pages",
            "calls",
            "points",
            "attempts",
            "created_at",
            "started_at",
            "advanced_at",
            "finished_at",
        )
        read_only_fields = fields

    def get_title(self, job: Job) -> str:
        """The kind of work and its subject."""
        return title_of(job)

    def get_repository(self, job: Any) -> LabelDocument | None:
        """The repository that it is about; null where it is about none."""
        return None if job.repository_id is None else {"id": job.repository_id, "full_name": job.repository_name}


class JobFilter(django_filters.FilterSet):  # type: ignore[misc]  # it comes without types
    """Jobs by what they do, of what, and their state."""

    kind = django_filters.CharFilter(help_text="Such as `read_stream`.")
    key = django_filters.CharFilter(
        method="of_key", help_text="What it is done to, such as the id of an installation, or `11/issues`."
    )
    repository = django_filters.CharFilter(method="in_repository", help_text="GitHub's id, or a name like acme/api.")
    state = AnyOfFilter(choices=Job.State.choices, help_text="Repeat it for several.")
    reason = django_filters.CharFilter(help_text="Why it waits or ended, as one word, such as `spent`.")
    installation = django_filters.NumberFilter(field_name="installation_id", help_text="GitHub's id.")

    class Meta:
        model = Job
        fields = ("kind", "key", "repository", "state", "reason", "installation")

    def of_key(self, rows: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
        """Return those of any kind that there is: the index begins with the kind."""
        return rows.filter(kind__in=[kind.name for kind in kinds()], key=value)

    def in_repository(self, rows: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
        is_named = {"pk": int(value)} if is_id(value) else {"full_name__iexact": value}
        ids = [row["pk"] for row in ids_of_jobs_of(Repository.objects.filter(**is_named))]
        return rows.filter(pk__in=ids)  # as values: in a subquery the planner expects many, and reads all jobs


class NotInThisState(exceptions.APIException):
    """Another state came first."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "not_in_this_state"


class JobsBusy(exceptions.APIException):
    """Others change the job for longer than a request waits."""

    status_code = status.HTTP_409_CONFLICT
    default_code = JobsBusyError.code


class ChangedByAdmins(BasePermission):
    """Users who see a job may look at it; operators and admins of a team that tracks its repository may change it.

    Asked of the object, so that what is not the user's to see is 404 before anything is said of permissions.
    """

    message = ONLY_ADMINS

    def has_object_permission(self, request: Request, view: Any, obj: Job) -> bool:
        return jobs_administered_by(request.user).filter(pk=obj.pk).exists()


class OfJob(OnlyKnownParameters, generics.GenericAPIView[Any]):
    """Jobs that the user may see; another's is not there."""

    queryset = Job.objects.none()
    serializer_class: type[serializers.BaseSerializer[Any]] = JobSerializer

    def get_queryset(self) -> QuerySet[Any]:
        return with_subjects(jobs_visible_to(self.request.user))

    def document(self, job: Job) -> Any:
        return JobSerializer(job).data


@extend_schema_view(get=extend_schema(tags=["jobs"], summary="Jobs, newest first"))
class JobsView(OfJob, generics.ListAPIView[Any]):
    """What runs, what waits and what failed: all durable work but deliveries and runs of reconciliation."""

    filterset_class = JobFilter
    pagination_class = NewestFirst


@extend_schema_view(get=extend_schema(tags=["jobs"], summary="A job"))
class JobView(OfJob, generics.RetrieveAPIView[Any]):
    """One job: how far it is, what it waits for and until when, what it cost, what it had to leave out."""


class ChangesJob:
    """A view that changes a job's state, for those who may."""

    permission_classes = (IsAuthenticated, ChangedByAdmins)
    throttle_scope = "backfill"

    def apply(self, change: Change) -> Response:
        """Answer 202 with the job, 409 with the refusal where its state does not allow the change."""
        view: Any = self
        job = view.get_object()
        try:
            changed = change.apply(Job.objects.filter(pk=job.pk))
        except JobsBusyError as error:
            raise JobsBusy(str(error)) from error
        if not changed:
            raise NotInThisState(change.refusal)
        return Response(view.document(view.get_object()), status=status.HTTP_202_ACCEPTED)


def change_views(base: Any, *, noun: str, document: Any) -> dict[str, Callable[..., Any]]:
    """Return a view of each change that can be made to what `base` shows."""
    return {name: _change_view(base, name, noun=noun, document=document).as_view() for name in CHANGES}


def _change_view(base: Any, name: str, *, noun: str, document: Any) -> Any:
    change = CHANGES[name]

    class ChangeView(ChangesJob, base):  # type: ignore[misc]  # the base is an argument
        @extend_schema(
            tags=[f"{noun}s"],
            summary=f"{name.capitalize()} a {noun}",
            description=change.effect,
            request=None,
            responses={
                202: document,
                403: OpenApiResponse(description=ONLY_ADMINS),
                409: OpenApiResponse(description=change.refusal),
            },
        )
        def post(self, request: Request, pk: int) -> Response:
            return self.apply(change)

    return ChangeView


urlpatterns = [
    path("jobs/", JobsView.as_view(), name="job-list"),
    path("jobs/<int:pk>/", JobView.as_view(), name="job-detail"),
    *(
        path(f"jobs/<int:pk>/{name}/", view, name=f"job-{name}")
        for name, view in change_views(OfJob, noun="job", document=JobSerializer).items()
    ),
]
