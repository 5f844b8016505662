"""Repositories that a user's teams track, and what is complete of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics

from apps.activity.api.serializers import RepositoryDetailSerializer, RepositorySerializer
from apps.activity.models import Repository
from apps.common.api import OnlyKnownParameters
from apps.metrics.api.teams import CompleteFields
from apps.metrics.completeness import report_of
from apps.metrics.completeness.descriptions import describe_with_sentence
from apps.teams.api.filters import RepositoryFilter
from apps.teams.visibility import repositories_visible_to

DELETED: Mapping[str, Any] = {"complete_until": None, "completeness": "The repository was deleted.", "gaps": []}


class CompleteRepositorySerializer(CompleteFields, RepositorySerializer):
    """A repository, and what is complete of it."""

    class Meta(RepositorySerializer.Meta):
        fields = (*RepositorySerializer.Meta.fields, *CompleteFields.NAMES)  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    def complete(self, row: Repository) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.context["complete"].get(row.pk, DELETED)
        return found


class CompleteRepositoryDetailSerializer(CompleteRepositorySerializer, RepositoryDetailSerializer):
    """A repository, what is complete of it, and by which stretches of time."""

    class Meta(RepositoryDetailSerializer.Meta):
        fields = (*RepositoryDetailSerializer.Meta.fields, *CompleteFields.NAMES)  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class OfRepositories(OnlyKnownParameters, generics.GenericAPIView[Repository]):
    """Repositories that the user may see."""

    queryset = Repository.objects.none()
    lookup_field = "github_id"

    def get_queryset(self) -> QuerySet[Repository]:
        return repositories_visible_to(self.request.user).order_by("full_name", "github_id")

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Asked about all of them at once, however many are shown."""
        shown = args[0] if args else ()
        repositories = [shown] if isinstance(shown, Repository) else list(shown)
        kwargs["context"] = {**self.get_serializer_context(), "complete": complete(repositories)}
        return self.get_serializer_class()(*args, **kwargs)


@extend_schema_view(get=extend_schema(tags=["activity"], summary="Repositories"))
class RepositoriesView(OfRepositories, generics.ListAPIView[Repository]):
    """The repositories that your teams track."""

    serializer_class = CompleteRepositorySerializer
    filterset_class = RepositoryFilter


def complete(repositories: Sequence[Repository]) -> dict[int, dict[str, Any]]:
    """What is complete of each of the repositories, as a document, by its id; without those that were deleted."""
    if not repositories:
        return {}
    report = report_of([repository.pk for repository in repositories])
    told = report.of_each(now=datetime.now(UTC))
    return {repository_id: describe_with_sentence(one, report=report) for repository_id, one in told.items()}
