"""API of the inbox: list and show deliveries, read a body, replay."""

import base64
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, generics, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import OnlyKnownParameters
from apps.users.access import OnlyOperators, is_operator
from apps.webhooks import replay
from apps.webhooks.api.filters import DeliveryFilter, NewestDeliveriesFirst, is_by_time, with_place
from apps.webhooks.api.serializers import BodySerializer, DeliverySerializer, ReplaySerializer
from apps.webhooks.models import Delivery


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
