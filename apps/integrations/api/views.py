"""History over the API: start reading it, watch it, stop it, let it go on."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.activity.models import Repository
from apps.common.api import NewestFirst, OnlyKnownParameters
from apps.integrations.api.backfill_start_serializers import ForecastSerializer, StartedSerializer, StartSerializer
from apps.integrations.api.filters import BackfillFilter, DriftFilter, RepositorySyncFilter, SyncFilter, chosen_by
from apps.integrations.api.serializers import (
    BackfillSerializer,
    DriftDetailSerializer,
    DriftSerializer,
    RepositorySyncSerializer,
    RepositoryWithDriftSerializer,
    SyncSerializer,
    backfill_documents,
    sync_documents,
)
from apps.integrations.backfill.requests import (
    StartRefusedError,
    forecast_asked,
    start_asked,
)
from apps.integrations.backfill.start import NothingToStartError, Scope
from apps.integrations.models import Backfill, Drift, RepositorySync, SyncLog
from apps.jobs.changes import JobsBusyError
from apps.metrics.api.repositories import OfRepositories
from apps.teams.visibility import repositories_visible_to


class NothingStarted(exceptions.APIException):
    """There is nothing to be read, or no installation that reads it."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "nothing_to_start"


class OfBackfill(OnlyKnownParameters, generics.GenericAPIView[Backfill]):
    """Backfills that the user may see; another's is not there."""

    queryset = Backfill.objects.none()
    serializer_class = BackfillSerializer

    def get_queryset(self) -> QuerySet[Backfill]:
        return Backfill.objects.visible_to(self.request.user).select_related("repository")

    def document(self, job: Backfill) -> Any:
        return backfill_documents([job])[0]


@extend_schema_view(get=extend_schema(tags=["backfills"], summary="Backfills, newest first"))
class BackfillsView(OfBackfill, generics.ListAPIView[Backfill]):
    """What is read of the history of what you may see, stream by stream, and what was."""

    filterset_class = BackfillFilter
    pagination_class = NewestFirst

    @property
    def throttle_scope(self) -> str | None:
        """Throttle starts only."""
        return "backfill" if self.request.method == "POST" else None

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(backfill_documents(rows or []))

    @extend_schema(
        tags=["backfills"],
        summary="Have history read",
        request=StartSerializer,
        responses={
            200: OpenApiResponse(ForecastSerializer, description="With `dry_run`: what it would take."),
            202: StartedSerializer,
            403: OpenApiResponse(description="You may see it, but neither you nor your team may have it read."),
            404: OpenApiResponse(description="What was named is not there, or not yours to see."),
            409: OpenApiResponse(description="Nothing can be read there, or not now; `detail` says why."),
        },
    )
    def post(self, request: Request) -> Response:
        """Start a backfill of each stream of each repository, in the background. Unfinished ones continue.

        Two starts of one thing are one; where this one asks for more, it begins again with the wider bounds. Operators
        start anything, admins of a team what the team tracks.
        """
        asked = StartSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            return begin(request.user, **asked.validated_data)
        except (StartRefusedError, JobsBusyError) as error:
            raise NothingStarted(str(error), code=error.code) from error
        except NothingToStartError as error:
            raise NothingStarted(str(error)) from error


@extend_schema_view(get=extend_schema(tags=["backfills"], summary="A backfill"))
class BackfillView(OfBackfill, generics.RetrieveAPIView[Backfill]):
    """One backfill: how far it is, what it waits for and until when, what it cost, what it had to leave out."""

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(backfill_documents([self.get_object()])[0])


def begin(user: Any, *, choice: dict[str, Any], scope: Scope, dry_run: bool) -> Response:
    """Start, or forecast, what was asked for."""
    repositories = chosen_by(user, **choice)
    if dry_run:
        return Response(ForecastSerializer(forecast_asked(repositories, scope=scope)).data)
    started = start_asked(repositories, scope=scope)
    document = {
        "new": started.new,
        "count": started.count,
        "backfills": backfill_documents(started.shown),
        "unreachable": [str(repository) for repository in started.unreachable],
    }
    return Response(document, status=status.HTTP_202_ACCEPTED)


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
