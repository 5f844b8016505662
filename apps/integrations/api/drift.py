"""Drift over the API: how far our tables were off, stream by stream, before a run repaired them."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import generics, serializers

from apps.activity.api.serializers import RepositoryLabelSerializer
from apps.activity.models import Repository
from apps.common.api import NewestFirst, OnlyKnownParameters
from apps.integrations.api.filters import DriftFilter
from apps.integrations.api.serializers import StreamDriftSerializer
from apps.integrations.models import Drift, DriftedEntity
from apps.metrics.api.repositories import CompleteRepositoryDetailSerializer, OfRepositories

MOST_SHOWN = 500


class DriftOfStreamSerializer(StreamDriftSerializer):
    """The same, with the run that found it."""

    run = serializers.CharField(source="repository_sync.sync.sync_id", help_text="Such as `nightly:2026-03-02`.")
    begun_at = serializers.DateTimeField(source="repository_sync.created_at")

    class Meta(StreamDriftSerializer.Meta):
        fields = ("id", "run", "begun_at", *StreamDriftSerializer.Meta.fields)  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class DriftSerializer(DriftOfStreamSerializer):
    """The same, with its repository."""

    repository = RepositoryLabelSerializer(source="repository_sync.repository")

    class Meta(DriftOfStreamSerializer.Meta):
        fields = ("id", "repository", *DriftOfStreamSerializer.Meta.fields[1:])  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class DriftedEntitySerializer(serializers.ModelSerializer[DriftedEntity]):
    """One that was off."""

    class Meta:
        model = DriftedEntity
        fields = ("entity", "key", "finding")
        read_only_fields = fields


class DriftDetailSerializer(DriftSerializer):
    """The same, and what was off."""

    entities = serializers.SerializerMethodField()

    class Meta(DriftSerializer.Meta):
        fields = (*DriftSerializer.Meta.fields, "entities")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(DriftedEntitySerializer(many=True))
    def get_entities(self, drift: Drift) -> Any:
        """What was off, by the keys of its provenance; the first 500."""
        rows = DriftedEntity.objects.filter(repository_sync=drift.repository_sync_id, stream=drift.stream)
        return DriftedEntitySerializer(rows.order_by("entity", "key")[:MOST_SHOWN], many=True).data


class RepositoryWithDriftSerializer(CompleteRepositoryDetailSerializer):
    """A repository, what is complete of it, and how far it was off."""

    drift = serializers.SerializerMethodField()

    class Meta(CompleteRepositoryDetailSerializer.Meta):
        fields = (*CompleteRepositoryDetailSerializer.Meta.fields, "drift")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    @extend_schema_field(DriftOfStreamSerializer(many=True))
    def get_drift(self, repository: Repository) -> Any:
        """What the last run that read each stream found; empty until one did."""
        rows = Drift.objects.filter(repository_sync__repository=repository).select_related("repository_sync__sync")
        return DriftOfStreamSerializer(rows.newest().order_by("stream"), many=True).data


class OfDrift(OnlyKnownParameters, generics.GenericAPIView[Drift]):
    """Drift of repositories that the user may see; another's is not there."""

    queryset = Drift.objects.none()
    serializer_class = DriftSerializer

    def get_queryset(self) -> QuerySet[Drift]:
        rows = Drift.objects.visible_to(self.request.user)
        return rows.select_related("repository_sync__repository", "repository_sync__sync")


@extend_schema_view(get=extend_schema(tags=["activity"], summary="Drift, newest first"))
class DriftsView(OfDrift, generics.ListAPIView[Drift]):
    """How far our tables were off, run by run and stream by stream, before they were repaired."""

    filterset_class = DriftFilter
    pagination_class = NewestFirst


@extend_schema_view(get=extend_schema(tags=["activity"], summary="The drift of a stream in a run"))
class DriftView(OfDrift, generics.RetrieveAPIView[Drift]):
    """One stream in one run, with what was off."""

    serializer_class = DriftDetailSerializer


@extend_schema_view(get=extend_schema(tags=["activity"], summary="A repository and what is complete of it"))
class RepositoryView(OfRepositories, generics.RetrieveAPIView[Repository]):
    """One repository, up to when it is complete, what was read of each stream, and how far each was off."""

    serializer_class = RepositoryWithDriftSerializer
