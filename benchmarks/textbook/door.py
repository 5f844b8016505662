"""Verify, save a row and its body through the ORM, publish one message, answer."""

import hashlib
import hmac
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import transaction
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.webhooks.models import Delivery, DeliveryBody


@shared_task(queue="maintenance", ignore_result=True)
def process(delivery_id: int) -> None:
    """Never run: only its publishing is measured."""


class TextbookDoor(APIView):
    """What most tutorials show, on our tables."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def post(self, request: Request) -> Response:
        body = request.body
        expected = hmac.new(settings.GITHUB_WEBHOOK_SECRETS[0].encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"sha256={expected}", request.headers.get("X-Hub-Signature-256", "")):
            return Response(status=status.HTTP_401_UNAUTHORIZED)
        payload: Any = request.data
        with transaction.atomic():
            delivery = Delivery.objects.create(
                hook_id=int(request.headers["X-GitHub-Hook-ID"]),
                guid=request.headers["X-GitHub-Delivery"],
                event=request.headers["X-GitHub-Event"],
                action=payload.get("action", ""),
                installation_id=payload.get("installation", {}).get("id"),
                repository_id=payload.get("repository", {}).get("id"),
                body_sha256=hashlib.sha256(body).digest(),
                size=len(body),
            )
            DeliveryBody.objects.create(delivery=delivery, content=body, headers={})
        process.delay(delivery.pk)
        return Response({"delivery": delivery.pk}, status=status.HTTP_202_ACCEPTED)
