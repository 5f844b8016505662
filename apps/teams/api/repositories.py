"""Repositories that a user's teams track."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics

from apps.activity.api.serializers import RepositoryDetailSerializer, RepositorySerializer
from apps.activity.models import Repository
from apps.rest.parameters import OnlyKnownParameters
from apps.teams.api.filters import RepositoryFilter
from apps.teams.visibility import repositories_visible_to


class OfRepositories(OnlyKnownParameters, generics.GenericAPIView[Repository]):
    """Repositories that the user may see."""

    queryset = Repository.objects.none()
    serializer_class = RepositorySerializer
    lookup_field = "github_id"

    def get_queryset(self) -> QuerySet[Repository]:
        return repositories_visible_to(self.request.user).order_by("full_name", "github_id")


@extend_schema_view(get=extend_schema(tags=["activity"], summary="Repositories"))
class RepositoriesView(OfRepositories, generics.ListAPIView[Repository]):
    """The repositories that your teams track."""

    filterset_class = RepositoryFilter


@extend_schema_view(get=extend_schema(tags=["activity"], summary="A repository and what is complete of it"))
class RepositoryView(OfRepositories, generics.RetrieveAPIView[Repository]):
    """One repository, with the stretches of time in which each stream is known to be complete."""

    serializer_class = RepositoryDetailSerializer
