"""API of incidents that are known elsewhere."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.activity.api.serializers import RepositoryLabelSerializer
from apps.activity.facts import ReportedIncidentState, Stamp
from apps.activity.models import ReportedIncident, Repository
from apps.common.api import InstantFilter, OnlyKnownFields, RepositoryField
from apps.metrics.api.reported_deployments import (
    LONGEST_ID,
    LONGEST_NAME,
    TRANSLATOR_VERSION,
    ConflictingReport,
    OfReports,
    ReportFilter,
    find_repository,
    record_report,
    validate_instant,
)
from apps.metrics.models import DerivedDeployment
from apps.teams.visibility import repositories_administered_by

LARGEST_NUMBER = 2**31 - 1
CONTENT = ("title", "service", "opened_at", "closed_at", "deployment", "pull_request")


class IncidentReportSerializer(OnlyKnownFields, serializers.Serializer[Any]):
    """An incident as it is known now."""

    id = serializers.CharField(
        max_length=LONGEST_ID,
        help_text="Your own id of the incident, unique in the repository. The same report again changes nothing.",
    )
    repository = RepositoryField(
        required=False,
        default="",
        help_text="A name like `acme/api`, or GitHub's id; may be absent if only one repository deploys the service.",
    )
    service = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=LONGEST_NAME, help_text="Empty: the repository itself."
    )
    title = serializers.CharField(required=False, default="", allow_blank=True, max_length=LONGEST_NAME)
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(required=False, default=None, allow_null=True, help_text="Null while open.")
    deployment = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=LONGEST_ID,
        help_text="What caused it, if that is known: the id of a reported deployment, or GitHub's.",
    )
    pull_request = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        min_value=1,
        max_value=LARGEST_NUMBER,
        help_text="What caused it, if only that is known: the number of a pull request of the repository.",
    )
    updated_at = serializers.DateTimeField(
        required=False,
        default=None,
        allow_null=True,
        help_text="When the incident was as reported; the latest report counts. Absent: `closed_at`, else `opened_at`.",
    )

    def validate_opened_at(self, at: datetime) -> datetime:
        return validate_instant(at)

    def validate_closed_at(self, at: datetime | None) -> datetime | None:
        return at and validate_instant(at)

    def validate_updated_at(self, at: datetime | None) -> datetime | None:
        return at and validate_instant(at)

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes with `updated_at`, and with whatever names the repository."""
        if attributes["closed_at"] and attributes["closed_at"] < attributes["opened_at"]:
            raise serializers.ValidationError({"closed_at": "closed_at must not be before opened_at."})
        if not attributes["repository"] and not attributes["service"]:
            raise serializers.ValidationError(
                {"repository": "Name the repository, or a service that one repository deploys."}
            )
        latest = attributes["closed_at"] or attributes["opened_at"]
        return attributes | {"updated_at": attributes["updated_at"] or latest}


class ReportedIncidentSerializer(serializers.ModelSerializer[ReportedIncident]):
    """A reported incident as its latest report says."""

    id = serializers.CharField(source="external_id", help_text="The reporter's own.")
    repository = RepositoryLabelSerializer()

    class Meta:
        model = ReportedIncident
        fields = ("id", "repository", *CONTENT, "updated_at")
        read_only_fields = fields


class IncidentFilter(ReportFilter):
    """Filters of reported incidents."""

    opened_after = InstantFilter(field_name="opened_at", lookup_expr="gte")
    opened_before = InstantFilter(field_name="opened_at", lookup_expr="lt")

    class Meta:
        model = ReportedIncident
        fields = ("repository", "id")


INCIDENT: Mapping[str, Any] = {
    "id": "INC-42",
    "title": "Exports time out",
    "service": "",
    "opened_at": "2026-03-05T18:00:00Z",
    "closed_at": "2026-03-05T19:30:00Z",
    "deployment": "",
    "pull_request": 5,
    "updated_at": "2026-03-05T19:30:00Z",
}
INCIDENT_SENT = OpenApiExample("An incident", value={**INCIDENT, "repository": "acme/api"}, request_only=True)
INCIDENT_SHOWN = OpenApiExample(
    "An incident",
    value={**INCIDENT, "repository": {"github_id": 101, "full_name": "acme/api"}},
    response_only=True,
)


@extend_schema_view(
    get=extend_schema(tags=["reports"], summary="Reported incidents, newest first", examples=[INCIDENT_SHOWN])
)
class IncidentsView(OfReports, generics.ListAPIView[ReportedIncident]):
    """Incidents that were reported here, of your repositories; issues that are incidents are not listed."""

    queryset = ReportedIncident.objects.all()
    serializer_class = ReportedIncidentSerializer
    filterset_class = IncidentFilter

    @extend_schema(
        tags=["reports"],
        summary="Report an incident",
        request=IncidentReportSerializer,
        responses={
            200: OpenApiResponse(ReportedIncidentSerializer, description="It was reported before: as it is known now."),
            201: ReportedIncidentSerializer,
            404: OpenApiResponse(description="The repository does not exist, or you have no access to it."),
            409: OpenApiResponse(description="There is another report of the same `updated_at`; `detail` says more."),
        },
        examples=[INCIDENT_SENT, INCIDENT_SHOWN],
    )
    def post(self, request: Request) -> Response:
        """Report an incident, or its later state: for operators, and admins of a team that tracks the repository.

        It counts for the deployment that it names, or that shipped the pull request that it names.
        """
        asked = IncidentReportSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = dict(asked.validated_data)
        named = values.pop("repository")
        repository = find_repository(named, user=request.user) if named else of_service(values["service"], request.user)
        incident, is_new = store_incident(
            repository_id=repository.pk, external_id=values.pop("id"), **values, by=request.user
        )
        answered = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(self.get_serializer(incident).data, status=answered)


def of_service(service: str, user: Any) -> Repository:
    """Return the only repository that deploys the service; ValidationError if there is none, or several."""
    rows = DerivedDeployment.objects.filter(service=service).order_by().values("repository")
    found: QuerySet[Repository] = repositories_administered_by(user).filter(pk__in=rows).order_by("pk")
    match list(found[:2]):
        case [repository]:
            return repository
        case []:
            words = f"No repository is known to deploy {service}. Name the repository."
        case _:
            words = f"Several repositories deploy {service}. Name the repository."
    raise serializers.ValidationError({"service": words})


def store_incident(
    *, repository_id: int, external_id: str, updated_at: datetime, by: Any, **content: Any
) -> tuple[ReportedIncident, bool]:
    """Return the incident as it is known now, and whether it is new.

    ConflictingReport if there is another report of the same instant.
    """
    rows = ReportedIncident.objects.select_related("repository")
    rows = rows.filter(repository_id=repository_id, external_id=external_id)
    with transaction.atomic():
        known = rows.first()
        if known is not None and known.updated_at == updated_at:
            if differing := [name for name in CONTENT if getattr(known, name) != content[name]]:
                raise ConflictingReport(
                    f"The incident {external_id} has another {' and '.join(differing)} at {updated_at.isoformat()}. "
                    "Report a correction with a later updated_at."
                )
            return known, False
        fact = ReportedIncidentState(
            stamp=Stamp(source_updated_at=updated_at, translator_version=TRANSLATOR_VERSION),
            repository_id=repository_id,
            external_id=external_id,
            updated_at=updated_at,
            **content,
        )
        record_report(fact, by=by)
        return rows.get(), known is None
