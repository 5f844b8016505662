"""Reconciliation over the API: which runs there were, and how each repository fared."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import NewestFirst
from apps.common.parameters import OnlyKnownParameters
from apps.integrations.api.filters import RepositorySyncFilter, SyncFilter
from apps.integrations.api.sync_serializers import RepositorySyncSerializer, SyncSerializer, sync_documents
from apps.integrations.models import RepositorySync, SyncLog
from apps.teams.visibility import repositories_visible_to


class OfSyncs(OnlyKnownParameters, generics.GenericAPIView[Any]):
    """Runs that the user may see; another's is not there."""

    queryset = SyncLog.objects.none()
    serializer_class = SyncSerializer

    def get_queryset(self) -> QuerySet[Any]:
        return SyncLog.objects.visible_to(self.request.user)


@extend_schema_view(get=extend_schema(tags=["reconciliation"], summary="Runs of reconciliation, newest first"))
class SyncsView(OfSyncs, generics.ListAPIView[Any]):
    """The runs in which your teams or repositories take part: the nights, those of hourly teams, those by hand."""

    filterset_class = SyncFilter
    pagination_class = NewestFirst

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(sync_documents(rows or [], user=request.user))


@extend_schema_view(get=extend_schema(tags=["reconciliation"], summary="A run of reconciliation"))
class SyncView(OfSyncs, generics.RetrieveAPIView[Any]):
    """One run: how your teams fared in it, and how many of your repositories are at what."""

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(sync_documents([self.get_object()], user=request.user)[0])


@extend_schema_view(get=extend_schema(tags=["reconciliation"], summary="Repositories in a run"))
class SyncRepositoriesView(OnlyKnownParameters, generics.ListAPIView[RepositorySync]):
    """How each repository fared in the run, and what was off in it; those that you may see."""

    queryset = RepositorySync.objects.none()
    serializer_class = RepositorySyncSerializer
    filterset_class = RepositorySyncFilter
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[RepositorySync]:
        sync = get_object_or_404(SyncLog.objects.visible_to(self.request.user), pk=self.kwargs["pk"])
        theirs = repositories_visible_to(self.request.user).order_by().values("pk")
        rows = RepositorySync.objects.filter(sync=sync, repository__in=theirs)
        return rows.select_related("repository").prefetch_related("drifts")
