"""History over the API: start reading it, watch it, stop it, let it go on."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, generics, status
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import NewestFirst, OnlyKnownParameters
from apps.integrations.api.filters import ONLY_ADMINS, BackfillFilter, RepositorySyncFilter, SyncFilter, chosen_by
from apps.integrations.api.serializers import (
    BackfillSerializer,
    RepositorySyncSerializer,
    SyncSerializer,
    backfill_documents,
    sync_documents,
)
from apps.integrations.api.starts import ForecastSerializer, StartedSerializer, StartSerializer
from apps.integrations.backfill.requests import (
    StartRefusedError,
    cancel_asked,
    forecast_asked,
    pause_asked,
    resume_asked,
    retry_asked,
    start_asked,
)
from apps.integrations.backfill.start import NothingToStartError, Scope
from apps.integrations.models import Backfill, RepositorySync, SyncLog
from apps.integrations.models.backfills import BackfillQuerySet
from apps.teams.visibility import repositories_administered_by, repositories_visible_to


class ChangedByAdmins(BasePermission):
    """Whoever sees a backfill may look at it; admins of a team that tracks its repository and operators may change it.

    Asked of the object, so that what is not the user's to see is 404 before anything is said of permissions.
    """

    message = ONLY_ADMINS

    def has_object_permission(self, request: Request, view: Any, obj: Backfill) -> bool:
        return repositories_administered_by(request.user).filter(pk=obj.repository_id).exists()


class NothingStarted(exceptions.APIException):
    """There is nothing to be read, or nobody to read it."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "nothing_to_start"


class NotInThisState(exceptions.APIException):
    """Another state came first."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "not_in_this_state"


class OfBackfill(OnlyKnownParameters, generics.GenericAPIView[Backfill]):
    """Backfills that the user may see; another's is not there."""

    queryset = Backfill.objects.none()
    serializer_class = BackfillSerializer

    def get_queryset(self) -> QuerySet[Backfill]:
        return Backfill.objects.visible_to(self.request.user).select_related("repository")


@extend_schema_view(get=extend_schema(tags=["backfills"], summary="Backfills, newest first"))
class BackfillsView(OfBackfill, generics.ListAPIView[Backfill]):
    """What is read of the history of what you may see, stream by stream, and what was."""

    filterset_class = BackfillFilter
    pagination_class = NewestFirst

    @property
    def throttle_scope(self) -> str | None:
        """Looking costs nothing."""
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
        """Start a backfill of each stream of each repository, in the background. What is unfinished already goes on.

        Two starts of one thing are one; where this one asks for more, it begins again with the wider bounds. Operators
        start anything, admins of a team what the team tracks.
        """
        asked = StartSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            return begin(request.user, **asked.validated_data)
        except StartRefusedError as error:
            raise NothingStarted(str(error), code=error.code) from error
        except NothingToStartError as error:
            raise NothingStarted(str(error)) from error


@extend_schema_view(get=extend_schema(tags=["backfills"], summary="A backfill"))
class BackfillView(OfBackfill, generics.RetrieveAPIView[Backfill]):
    """One backfill: how far it is, what it waits for and until when, what it cost, what it had to leave out."""

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(backfill_documents([self.get_object()])[0])


class ChangeView(OfBackfill):
    """A change of a backfill's state, by whoever may have history read."""

    permission_classes = (IsAuthenticated, ChangedByAdmins)
    throttle_scope = "backfill"

    def change(self, change: Callable[[BackfillQuerySet], int], *, refusal: str) -> Response:
        """Answers 202 with the row, 409 with the refusal where its state does not allow the change."""
        backfill = self.get_object()
        try:
            changed = change(Backfill.objects.filter(pk=backfill.pk))
        except StartRefusedError as error:
            raise NothingStarted(str(error), code=error.code) from error
        if not changed:
            raise NotInThisState(refusal)
        return Response(backfill_documents([self.get_object()])[0], status=status.HTTP_202_ACCEPTED)


def describe_change(summary: str, *, conflict: str) -> Callable[[Any], Any]:
    return extend_schema(
        tags=["backfills"],
        summary=summary,
        request=None,
        responses={
            202: BackfillSerializer,
            403: OpenApiResponse(description="Only operators and admins of a team that tracks the repository may."),
            409: OpenApiResponse(description=conflict),
        },
    )


class PauseView(ChangeView):
    """Stops it for now."""

    @describe_change("Pause a backfill", conflict="It is paused already, or finished.")
    def post(self, request: Request, pk: int) -> Response:
        """Stop it where it is, until somebody resumes it. A page that is being read now is read again then."""
        return self.change(pause_asked, refusal="It is paused already, or finished: nothing is to be paused.")


class ResumeView(ChangeView):
    """Goes on after a pause."""

    @describe_change("Resume a backfill", conflict="It is not paused.")
    def post(self, request: Request, pk: int) -> Response:
        """Let it go on where it was paused."""
        return self.change(resume_asked, refusal="It is not paused: nothing is to be resumed.")


class CancelView(ChangeView):
    """Ends it."""

    @describe_change("Cancel a backfill", conflict="It is finished.")
    def post(self, request: Request, pk: int) -> Response:
        """End it for good; what was read stays."""
        return self.change(cancel_asked, refusal="It is finished: nothing is to be cancelled.")


class RetryView(ChangeView):
    """Goes on after a failure."""

    @describe_change("Retry a backfill", conflict="It did not fail, or its stream was started anew since.")
    def post(self, request: Request, pk: int) -> Response:
        """Let it go on where it failed."""
        return self.change(
            retry_asked, refusal="It did not fail, or its stream was started anew since: nothing is to be retried."
        )


def begin(user: Any, *, choice: dict[str, Any], scope: Scope, dry_run: bool) -> Response:
    """Start, or forecast, what was asked for."""
    repositories = chosen_by(user, **choice)
    if dry_run:
        return Response(ForecastSerializer(forecast_asked(repositories, scope=scope)).data)
    begun = start_asked(repositories, scope=scope)
    document = {
        "new": begun.new,
        "count": begun.count,
        "backfills": backfill_documents(begun.shown),
        "unreachable": [str(repository) for repository in begun.unreachable],
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
