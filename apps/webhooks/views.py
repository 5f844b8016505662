"""The receiver: check, store and answer deliveries of GitHub."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase
from django.urls import path
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.common import db
from apps.webhooks import intake
from apps.webhooks.inbox_overview import RESPONSES
from apps.webhooks.models import Refusal
from apps.webhooks.request_body import budget, check_framing, read_content
from apps.webhooks.signature import (
    GitHubHook,
    MalformedHeaderError,
    SigningSecret,
    active_secrets,
    find_signing_secret,
    is_of_host,
    is_signature,
    note_signature,
    stored_headers,
)

ROWS_KEPT = 1000
STORE_EVERY_S = 1.0  # a row for each reason and process, at most
QUIET_AFTER_FAILURE_S = 10.0
LONGEST_WAIT_S = 1.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A rejected request."""

    status: int
    reason: str
    headers: Mapping[str, str]
    size: int | None
    body: bytes | None = field(repr=False)


class RefusalLog:
    """Decide which rejected requests become rows; the others are counted in the next row of their reason."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uncounted: dict[str, int] = {}
        self._next_row_s: dict[str, float] = {}
        self._quiet_until_s = 0.0

    def note(self, refused: Refused) -> None:
        """Count a rejected request and store a row at most every second per reason; never fails or blocks."""
        RESPONSES.labels(refused.reason).inc()
        count = self._count_if_due(refused.reason, now_s=time.monotonic())
        if count:
            self._store(refused, count=count)

    def _count_if_due(self, reason: str, *, now_s: float) -> int:
        with self._lock:
            count = self._uncounted.get(reason, 0) + 1
            if now_s < max(self._next_row_s.get(reason, 0.0), self._quiet_until_s):
                self._uncounted[reason] = count
                return 0
            self._uncounted[reason] = 0
            self._next_row_s[reason] = now_s + STORE_EVERY_S
            return count

    def _store(self, refused: Refused, *, count: int) -> None:
        try:
            with db.limit(seconds=LONGEST_WAIT_S):
                store(refused, count=count)
        except DatabaseError:
            self._quiet_until_s = time.monotonic() + QUIET_AFTER_FAILURE_S
            RESPONSES.labels("refusal_not_stored").inc(count)
            logger.warning("refusal_not_stored")


def store(refused: Refused, *, count: int) -> None:
    """Store a row for this many rejected requests, and delete the oldest rows."""
    row = Refusal.objects.create(
        status=refused.status,
        reason=refused.reason,
        count=count,
        headers=dict(refused.headers),
        size=refused.size,
        body_sha256=hashlib.sha256(refused.body).digest() if refused.body is not None else None,
    )
    Refusal.objects.filter(id__lte=row.pk - ROWS_KEPT).delete()


_log = RefusalLog()


def note(refused: Refused) -> None:
    """Count a rejected request and store a sample; never fails or blocks."""
    _log.note(refused)


TAKEN = "tformance.body_bytes_taken"


class NotStoredError(exceptions.APIException):
    """The delivery may not be stored; a late commit is harmless, because a redelivery has the same key."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The delivery could not be stored. Redeliver it."
    default_code = "not_stored"


@dataclass(frozen=True, slots=True)
class SignedBody:
    """The bytes that GitHub signed, and the secret that signed them."""

    secret: SigningSecret
    content: bytes = field(repr=False)


class SignedByGitHub(BaseAuthentication):
    """Authenticate GitHub by the signature. A wrong one is 401, never 403."""

    def authenticate(self, request: Request) -> tuple[GitHubHook, SignedBody]:
        environ = request.META
        secrets = active_secrets()
        if not secrets:
            raise NotStoredError("There is no active webhook secret.", code="no_secret")
        length = check_framing(environ)
        header = environ.get("HTTP_X_HUB_SIGNATURE_256", "")
        if not is_signature(header):
            raise exceptions.AuthenticationFailed("X-Hub-Signature-256 is missing or malformed.", code="no_signature")
        environ[TAKEN] = budget.take(length)
        content = read_content(request._request, length=length)  # DRF's request has no bounded read
        secret = find_signing_secret(content, header=header, secrets=secrets)
        if secret is None:
            raise SignatureMismatchError(content)
        return _hook(environ), SignedBody(secret=secret, content=content)

    def authenticate_header(self, request: Request) -> str:
        return "X-Hub-Signature-256"


class SignatureMismatchError(exceptions.AuthenticationFailed):
    """No active secret signed these bytes."""

    default_detail = "The signature does not match the body."
    default_code = "bad_signature"

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content


class AlwaysJSON(BaseContentNegotiation):
    """Respond with JSON whatever the client accepts."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return next(iter(renderers)), "application/json"


class DeliveryView(APIView):
    """Store the delivery and answer at once. Everything slow or fallible happens in a worker."""

    http_method_names = ("post",)
    authentication_classes = (SignedByGitHub,)
    permission_classes = (IsAuthenticated,)
    throttle_classes = ()
    parser_classes = ()
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJSON
    schema = None  # GitHub's contract, not one of ours

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, then release the body and its share of the memory budget."""
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            self.request.auth = None
            budget.release(request.META.pop(TAKEN, 0))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "POST":  # before the signature: 405 reveals nothing
            raise exceptions.MethodNotAllowed(str(request.method))
        super().initial(request, *args, **kwargs)

    def post(self, request: Request) -> Response:
        hook, signed = cast(GitHubHook, request.user), cast(SignedBody, request.auth)
        receipt = intake.receive(hook, signed.content, signed_by=signed.secret.name)
        intake.note_outcome(is_stored=True)
        note_signature(signed.secret)
        return Response({"delivery": receipt.key, "outcome": receipt.outcome.value}, status=status.HTTP_202_ACCEPTED)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, DatabaseError):
            logger.error("delivery_not_stored", extra={"error": type(exc).__name__})
            intake.note_outcome(is_stored=False)
            exc = NotStoredError()
        response = super().handle_exception(exc)
        if not isinstance(exc, NotStoredError):
            self._note_refusal(exc, status_code=response.status_code)
        return response

    def _note_refusal(self, error: Exception, *, status_code: int) -> None:
        environ = self.request.META
        length = environ.get("CONTENT_LENGTH", "")
        reason = str(error.get_codes()) if isinstance(error, exceptions.APIException) else type(error).__name__
        note(
            Refused(
                status=status_code,
                reason=reason,
                headers=stored_headers(environ),
                size=int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None,  # noqa: PLR2004  bigint
                body=error.content if isinstance(error, SignatureMismatchError) else None,
            )
        )


def _hook(environ: dict[str, str]) -> GitHubHook:
    if not is_of_host(environ, api_url=settings.GITHUB_API_URL):
        raise exceptions.ParseError("The delivery comes from another GitHub host.", code="other_host")
    try:
        return GitHubHook.from_environ(environ)
    except MalformedHeaderError as error:
        raise exceptions.ParseError(str(error), code="malformed_header") from error


app_name = "webhooks"
urlpatterns = [
    path("github/", DeliveryView.as_view(), name="github"),
    path("github", DeliveryView.as_view()),  # GitHub follows no redirect: an address without its slash must work too
]
