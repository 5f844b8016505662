"""API of pull requests, with the source of each of their times."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics

from apps.activity.api.serializers import PullRequestSerializer
from apps.activity.models import PullRequest
from apps.common.api import OnlyKnownParameters
from apps.metrics.api.parameters import PullRequestFilter
from apps.metrics.api.serializers import PullRequestDetailSerializer
from apps.teams.visibility import repositories_visible_to


class OfPullRequests(OnlyKnownParameters, generics.GenericAPIView[PullRequest]):
    """Pull requests in repositories that the user may see."""

    queryset = PullRequest.objects.none()
    serializer_class = PullRequestSerializer

    def get_queryset(self) -> QuerySet[PullRequest]:
        repositories = repositories_visible_to(self.request.user).order_by().values("pk")
        rows = PullRequest.objects.filter(repository__in=repositories).select_related("repository", "author")
        return rows.order_by("-updated_at", "-pk")


@extend_schema_view(get=extend_schema(tags=["activity"], summary="Pull requests, newest change first"))
class PullRequestsView(OfPullRequests, generics.ListAPIView[PullRequest]):
    """Pull requests of the repositories that your teams track."""

    filterset_class = PullRequestFilter


@extend_schema_view(get=extend_schema(tags=["activity"], summary="A pull request, with sources"))
class PullRequestView(OfPullRequests, generics.RetrieveAPIView[PullRequest]):
    """One pull request: its state, history and reviews, the derived values, and their sources."""

    serializer_class = PullRequestDetailSerializer

    def get_object(self) -> PullRequest:
        keys = {name: self.kwargs[name] for name in ("repository_id", "number")}
        return get_object_or_404(self.get_queryset(), **keys)
