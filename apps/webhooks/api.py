"""API of the inbox: list and show deliveries, read a body, replay."""

import base64
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import django_filters
from django.db.models import F, QuerySet
from django.urls import path
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, generics, serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import AnyOfFilter, InstantFilter, NewestFirst, OnlyKnownParameters
from apps.users.access import OnlyOperators, is_operator
from apps.webhooks import replay
from apps.webhooks.models import Delivery


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """A delivery of GitHub and its state."""

    source = serializers.SerializerMethodField(help_text="How it arrived: webhook, api or replay.")  # type: ignore[assignment]
    body_sha256 = serializers.SerializerMethodField()
    size = serializers.IntegerField(help_text="Bytes of the body.")

    class Meta:
        model = Delivery
        fields = (
            "id",
            "key",
            "guid",
            "hook_id",
            "event",
            "action",
            "installation_id",
            "repository_id",
            "state",
            "reason",
            "error",
            "source",
            "attempts",
            "crashes",
            "duplicates",
            "is_conflict",
            "is_replayed_body",
            "is_sanitised",
            "size",
            "body_sha256",
            "received_at",
            "claimed_at",
            "not_before",
            "finished_at",
        )
        read_only_fields = fields

    def get_source(self, delivery: Delivery) -> str:
        """The source: webhook, api or replay."""
        return Delivery.Source(delivery.source).name.lower()

    def get_body_sha256(self, delivery: Delivery) -> str:
        """Hexadecimal."""
        return bytes(delivery.body_sha256).hex()


class BodySerializer(serializers.Serializer[Any]):
    """The bytes that GitHub signed, and the stored headers."""

    headers = serializers.DictField(child=serializers.CharField(), help_text="Only those on the allow-list.")
    encoding = serializers.ChoiceField(choices=["utf-8", "base64"], help_text="The encoding of `content`.")
    content = serializers.CharField()


class ReplaySerializer(serializers.Serializer[Any]):
    """The delivery that will be processed again."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=Delivery.State.choices)


class DeliveryFilter(django_filters.FilterSet):  # type: ignore[misc]  # it comes without types
    """Filters by repository, event, state and time."""

    state = AnyOfFilter(choices=Delivery.State.choices, help_text="Repeat the parameter for several states.")
    event = django_filters.CharFilter(help_text="GitHub's name: `pull_request`.")
    action = django_filters.CharFilter(help_text="The payload's action: `opened`.")
    reason = django_filters.CharFilter(help_text="The reason of its state: `shape_mismatch`.")
    repository = django_filters.NumberFilter(field_name="repository_id", help_text="GitHub's id of the repository.")
    installation = django_filters.NumberFilter(field_name="installation_id", help_text="GitHub's id.")
    guid = django_filters.UUIDFilter(help_text="`X-GitHub-Delivery`, as GitHub shows it.")
    received_after = InstantFilter(field_name="received_at", lookup_expr="gte", help_text="An instant, inclusive.")
    received_before = InstantFilter(field_name="received_at", lookup_expr="lt", help_text="An instant, exclusive.")

    class Meta:
        model = Delivery
        fields = ("state", "event", "action", "reason", "repository", "installation", "guid")


FEW = 50_000
"""Up to this many deliveries are read by repository, then filtered and sorted."""
OF_TIME = ("received_after", "received_before")


class NewestDeliveriesFirst(NewestFirst):
    """Pages ordered by arrival if a time filter is used, otherwise by id."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        return "-place", "-id"

    def decode_cursor(self, request: Request) -> Any:
        if not is_by_time(request.query_params):
            return super().decode_cursor(request)
        cursor = super(NewestFirst, self).decode_cursor(request)
        try:
            is_known = cursor is None or cursor.position is None or parse_datetime(str(cursor.position)) is not None
        except ValueError:
            is_known = False
        if not is_known:
            raise exceptions.NotFound(self.invalid_cursor_message)
        return cursor


def is_by_time(parameters: Collection[str]) -> bool:
    """Return whether a time filter is used."""
    return any(name in parameters for name in OF_TIME)


def with_place(rows: QuerySet[Delivery], *, visible: QuerySet[Delivery] | None, by_time: bool) -> QuerySet[Delivery]:
    """Return rows with `place`, by which they are ordered; `visible` are the rows of a user who does not see all.

    If none of the user's few deliveries has the event, but those of others have it a hundred thousand times, PostgreSQL
    would read all of these in the order of an index. No index has the order of a sum, so it reads by repository.
    """
    column, nothing = ("received_at", timedelta()) if by_time else ("id", 0)
    is_little = visible is not None and visible.order_by()[: FEW + 1].count() <= FEW
    return rows.annotate(place=F(column) + nothing if is_little else F(column))


class NotReplayable(exceptions.APIException):
    """The delivery is running, or its body has expired."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "The delivery is running, or its body has expired, so it cannot be replayed."
    default_code = "not_replayable"


class BodyExpired(exceptions.APIException):
    """The body was deleted by retention."""

    status_code = status.HTTP_410_GONE
    default_detail = "The body has expired. The delivery and its results are kept."
    default_code = "body_expired"


class OfDelivery(OnlyKnownParameters, generics.GenericAPIView[Delivery]):
    """Deliveries that the user may see; others are 404."""

    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer

    def get_queryset(self) -> QuerySet[Delivery]:
        return Delivery.objects.visible_to(self.request.user)


@extend_schema_view(get=extend_schema(tags=["deliveries"], summary="Deliveries, newest first"))
class DeliveriesView(OfDelivery, generics.ListAPIView[Delivery]):
    """The deliveries of what you may see, with their state."""

    filterset_class = DeliveryFilter
    pagination_class = NewestDeliveriesFirst

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        visible = None if is_operator(self.request.user) else queryset
        by_time = is_by_time(self.request.query_params)
        return with_place(super().filter_queryset(queryset), visible=visible, by_time=by_time)


@extend_schema_view(get=extend_schema(tags=["deliveries"], summary="A delivery"))
class DeliveryDetailView(OfDelivery, generics.RetrieveAPIView[Delivery]):
    """One delivery: its key, source, state and times."""


class BodyView(OfDelivery):
    """The body of a delivery, for operators, because payloads contain more than figures need."""

    permission_classes = (IsAuthenticated, OnlyOperators)
    throttle_scope = "body"

    @extend_schema(
        tags=["deliveries"],
        summary="A delivery's body",
        responses={200: BodySerializer, 403: OpenApiResponse(description="Only operators may read bodies."), 410: None},
    )
    def get(self, request: Request, pk: int) -> Response:
        """The body as GitHub signed it, with the stored headers. Operators only; 410 if it has expired."""
        body = self.get_object().body
        if body is None:
            raise BodyExpired
        return Response({"headers": body.headers, **as_text(bytes(body.content))})


class ReplayView(OfDelivery):
    """A replay, for operators, because it is work for the workers."""

    permission_classes = (IsAuthenticated, OnlyOperators)
    throttle_scope = "replay"

    @extend_schema(
        tags=["deliveries"],
        summary="Replay a delivery",
        request=None,
        responses={
            202: ReplaySerializer,
            403: OpenApiResponse(description="Only operators may replay."),
            409: OpenApiResponse(description="The delivery is running, or its body has expired."),
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        """Process the stored delivery again, after all live ones. Nothing is counted twice."""
        delivery = self.get_object()
        if not replay.replay(Delivery.objects.filter(pk=delivery.pk)):
            raise NotReplayable
        return Response({"id": delivery.pk, "state": Delivery.State.RECEIVED}, status=status.HTTP_202_ACCEPTED)


def as_text(content: bytes) -> dict[str, Any]:
    try:
        return {"encoding": "utf-8", "content": content.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "content": base64.b64encode(content).decode()}


urlpatterns = [
    path("deliveries/", DeliveriesView.as_view(), name="delivery-list"),
    path("deliveries/<int:pk>/", DeliveryDetailView.as_view(), name="delivery-detail"),
    path("deliveries/<int:pk>/body/", BodyView.as_view(), name="delivery-body"),
    path("deliveries/<int:pk>/replay/", ReplayView.as_view(), name="delivery-replay"),
]
