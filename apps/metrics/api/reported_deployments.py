"""API of what GitHub does not know: deployments that were made elsewhere."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.activity.api.serializers import RepositoryLabelSerializer
from apps.activity.facts import Fact, ReportedDeploymentState, Source, Stamp, evidence
from apps.activity.models import ReportedDeployment, Repository
from apps.activity.record import record
from apps.common.api import InstantFilter, NewestFirst, OnlyKnownFields, OnlyKnownParameters, RepositoryField
from apps.teams.visibility import repositories_administered_by, repositories_visible_to

LONGEST_ID, LONGEST_NAME = 200, 255
SHA = r"^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCKS_DIFFER = timedelta(minutes=1)
TRANSLATOR_VERSION = 1


class ConflictingReport(exceptions.APIException):
    """There is another report of the same id and instant."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


def validate_instant(at: datetime) -> datetime:
    """Return an instant that is not in the future; a clock may be a minute fast."""
    if not EARLIEST <= at <= datetime.now(UTC) + CLOCKS_DIFFER:
        raise serializers.ValidationError("Use an instant from 1970 until now.")
    return at


def find_repository(named: str, *, user: Any) -> Repository:
    """Return the repository; NotFound if the user does not see it, PermissionDenied if the user only sees it."""
    is_named = Repository.with_id_or_name(named.strip())
    if not repositories_visible_to(user).filter(is_named).exists():
        raise exceptions.NotFound(f"There is no repository {named} that you may see.")
    found = repositories_administered_by(user).filter(is_named).first()
    if found is None:
        raise exceptions.PermissionDenied("Only admins of a team that tracks the repository and operators may report.")
    return found


def record_report(fact: Fact, *, by: Any) -> None:
    """Record what the user reports; figures follow within seconds."""
    record([evidence(Source(kind="report", key=by.get_username()), [fact])])


class DeploymentReportSerializer(OnlyKnownFields, serializers.Serializer[Any]):
    """How a deployment that was made elsewhere ended."""

    id = serializers.CharField(
        max_length=LONGEST_ID,
        help_text="Your own id of the deployment, unique in the repository. The same report again changes nothing; "
        "further reports of it add its later states, in any order.",
    )
    repository = RepositoryField(help_text="A name like `acme/api`, or GitHub's id.")
    environment = serializers.CharField(
        max_length=LONGEST_NAME, help_text="Production or not is decided by its name, as for GitHub's environments."
    )
    service = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=LONGEST_NAME, help_text="Empty: the repository itself."
    )
    sha = serializers.RegexField(
        SHA,
        help_text="The full SHA of the deployed commit.",
        error_messages={"invalid": "Use the full SHA of the commit, 40 hexadecimal digits."},
    )
    state = serializers.ChoiceField(choices=ReportedDeployment.State.choices)
    finished_at = serializers.DateTimeField(help_text="When it succeeded or failed.")

    def validate_sha(self, sha: str) -> str:
        return sha.lower()

    def validate_finished_at(self, at: datetime) -> datetime:
        return validate_instant(at)


class ReportedDeploymentSerializer(serializers.ModelSerializer[ReportedDeployment]):
    """A report of a deployment."""

    id = serializers.CharField(source="external_id", help_text="The reporter's own.")
    repository = RepositoryLabelSerializer()

    class Meta:
        model = ReportedDeployment
        fields = ("id", "repository", "environment", "service", "sha", "state", "finished_at")
        read_only_fields = fields


class ReportFilter(django_filters.FilterSet):  # type: ignore[misc]  # it comes without types
    """Filters of reports by repository and by the reporter's own id."""

    repository = django_filters.CharFilter(method="in_repository", help_text="GitHub's id, or a name like acme/api.")
    id = django_filters.CharFilter(field_name="external_id", help_text="The reporter's own.")

    def in_repository(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(repository__in=Repository.objects.filter(Repository.with_id_or_name(value)))


class DeploymentFilter(ReportFilter):
    """Filters of reports of deployments."""

    finished_after = InstantFilter(field_name="finished_at", lookup_expr="gte")
    finished_before = InstantFilter(field_name="finished_at", lookup_expr="lt")

    class Meta:
        model = ReportedDeployment
        fields = ("repository", "id")


DEPLOYMENT: Mapping[str, Any] = {
    "id": "release-2026-03-03-1",
    "environment": "production",
    "service": "api",
    "sha": "9fceb02d0ae598e95dc970b74767f19372d61af8",
    "state": "success",
    "finished_at": "2026-03-03T12:00:00Z",
}
DEPLOYMENT_SENT = OpenApiExample("A success", value={**DEPLOYMENT, "repository": "acme/api"}, request_only=True)
DEPLOYMENT_SHOWN = OpenApiExample(
    "A report",
    value={**DEPLOYMENT, "repository": {"github_id": 101, "full_name": "acme/api"}},
    response_only=True,
)


class OfReports(OnlyKnownParameters, generics.GenericAPIView[Any]):
    """Reports of repositories that the user may see."""

    pagination_class = NewestFirst

    @property
    def throttle_scope(self) -> str | None:
        """Throttle reports only."""
        return "report" if self.request.method == "POST" else None

    def get_queryset(self) -> QuerySet[Any]:
        repositories = repositories_visible_to(self.request.user).order_by().values("pk")
        rows: QuerySet[Any] = super().get_queryset()
        return rows.filter(repository__in=repositories).select_related("repository")


@extend_schema_view(
    get=extend_schema(tags=["reports"], summary="Reports of deployments, newest first", examples=[DEPLOYMENT_SHOWN])
)
class DeploymentsView(OfReports, generics.ListAPIView[ReportedDeployment]):
    """Deployments of your repositories that were made elsewhere and reported here; GitHub's own are not listed."""

    queryset = ReportedDeployment.objects.all()
    serializer_class = ReportedDeploymentSerializer
    filterset_class = DeploymentFilter

    @extend_schema(
        tags=["reports"],
        summary="Report a deployment",
        request=DeploymentReportSerializer,
        responses={
            200: OpenApiResponse(ReportedDeploymentSerializer, description="It was reported before."),
            201: ReportedDeploymentSerializer,
            404: OpenApiResponse(description="The repository does not exist, or you have no access to it."),
            409: OpenApiResponse(description="There is another report of this id and instant; `detail` says more."),
        },
        examples=[DEPLOYMENT_SENT, DEPLOYMENT_SHOWN],
    )
    def post(self, request: Request) -> Response:
        """Report how a deployment ended: for operators, and admins of a team that tracks the repository.

        Of one id, the first success counts, with the failures before it; a failure after it is a failed deployment.
        Environment, service and commit are those of its latest report.
        """
        asked = DeploymentReportSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = dict(asked.validated_data)
        repository = find_repository(values.pop("repository"), user=request.user)
        report, is_new = store_deployment(
            repository_id=repository.pk, external_id=values.pop("id"), **values, by=request.user
        )
        answered = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(self.get_serializer(report).data, status=answered)


def store_deployment(
    *, repository_id: int, external_id: str, finished_at: datetime, by: Any, **content: str
) -> tuple[ReportedDeployment, bool]:
    """Return the report, and whether it is new; ConflictingReport if its instant has another content."""
    rows = ReportedDeployment.objects.select_related("repository")
    rows = rows.filter(repository_id=repository_id, external_id=external_id, finished_at=finished_at)
    with transaction.atomic():
        known = rows.first()
        if known is not None:
            if differing := [name for name, value in sorted(content.items()) if getattr(known, name) != value]:
                raise ConflictingReport(
                    f"The deployment {external_id} has another {' and '.join(differing)} at {finished_at.isoformat()}. "
                    "Report a correction with a later finished_at."
                )
            return known, False
        fact = ReportedDeploymentState(
            stamp=Stamp(source_updated_at=finished_at, translator_version=TRANSLATOR_VERSION),
            repository_id=repository_id,
            external_id=external_id,
            finished_at=finished_at,
            **content,
        )
        record_report(fact, by=by)
        return rows.get(), True
