"""API of repositories, with completeness."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics

from apps.activity.api.serializers import RepositoryDetailSerializer, RepositorySerializer
from apps.activity.models import Repository
from apps.common.api import OnlyKnownParameters
from apps.metrics.api.completeness import CompleteFields
from apps.metrics.completeness import report_of
from apps.metrics.completeness.descriptions import describe_with_sentence
from apps.teams.api.views import RepositoryFilter
from apps.teams.visibility import repositories_visible_to

DELETED: Mapping[str, Any] = {"complete_until": None, "completeness": "The repository was deleted.", "gaps": []}


class CompleteRepositorySerializer(CompleteFields, RepositorySerializer):
    """A repository, with completeness."""

    class Meta(RepositorySerializer.Meta):
        fields = (*RepositorySerializer.Meta.fields, *CompleteFields.NAMES)  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]

    def complete(self, row: Repository) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.context["complete"].get(row.pk, DELETED)
        return found


class CompleteRepositoryDetailSerializer(CompleteRepositorySerializer, RepositoryDetailSerializer):
    """A repository, with completeness and the periods that are complete by stream."""

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
        """Compute the completeness of all shown repositories at once."""
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
    """Return the completeness of each repository as JSON, by id; deleted ones are left out."""
    if not repositories:
        return {}
    report = report_of([repository.pk for repository in repositories])
    found = report.of_each(now=datetime.now(UTC))
    return {repository_id: describe_with_sentence(one, report=report) for repository_id, one in found.items()}
