"""The door: what GitHub posts is checked, kept and answered."""

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
from apps.webhooks.models import Refusal
from apps.webhooks.origin import GitHubHook, MalformedHeaderError, is_of_host, stored_headers
from apps.webhooks.overview import ANSWERS
from apps.webhooks.request_body import budget, check_framing, read_content
from apps.webhooks.signature import SigningSecret, active_secrets, find_signing_secret, is_signature

ROWS_KEPT = 1000
STORE_EVERY_S = 1.0  # a row for each reason and process, at most
QUIET_AFTER_FAILURE_S = 10.0
LONGEST_WAIT_S = 1.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One refused post."""

    status: int
    reason: str
    headers: Mapping[str, str]
    size: int | None
    body: bytes | None = field(repr=False)


class RefusalLog:
    """Decides which refusals of this process become rows; the others are counted by the next row of their reason."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._uncounted: dict[str, int] = {}
        self._next_row_s: dict[str, float] = {}
        self._quiet_until_s = 0.0

    def note(self, refused: Refused) -> None:
        """Count a refusal and store it if it is its reason's turn; never fails, never waits long."""
        ANSWERS.labels(refused.reason).inc()
        count = self._take_turn(refused.reason, now_s=time.monotonic())
        if count:
            self._store(refused, count=count)

    def _take_turn(self, reason: str, *, now_s: float) -> int:
        with self._turn:
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
            ANSWERS.labels("refusal_not_stored").inc(count)
            logger.warning("refusal_not_stored")


def store(refused: Refused, *, count: int) -> None:
    """Write a row that stands for so many refusals, and drop the oldest beyond those kept."""
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
    """Count a refusal, and keep a sample of its reason once a second; never fails, never waits long."""
    _log.note(refused)


TAKEN = "tformance.body_bytes_taken"


class NotKept(exceptions.APIException):
    """Nothing is known to be stored; a later commit is harmless, for GitHub delivers again under the same key."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The delivery could not be kept. Deliver it again."
    default_code = "not_kept"


@dataclass(frozen=True, slots=True)
class SignedBody:
    """The bytes that GitHub signed, and with which secret."""

    slot: SigningSecret
    content: bytes = field(repr=False)


class SignedByGitHub(BaseAuthentication):
    """The signature is the login: GitHub has no other with us. A bad one is 401, never 403."""

    def authenticate(self, request: Request) -> tuple[GitHubHook, SignedBody]:
        environ = request.META
        slots = active_secrets()
        if not slots:
            raise NotKept("There is no active webhook secret.", code="no_secret")
        length = check_framing(environ)
        header = environ.get("HTTP_X_HUB_SIGNATURE_256", "")
        if not is_signature(header):
            raise exceptions.AuthenticationFailed("X-Hub-Signature-256 is missing or malformed.", code="no_signature")
        environ[TAKEN] = budget.take(length)
        content = read_content(request._request, length=length)  # DRF's request has no bounded read
        slot = find_signing_secret(content, header=header, slots=slots)
        if slot is None:
            raise SignatureMismatch(content)
        return _hook(environ), SignedBody(slot=slot, content=content)

    def authenticate_header(self, request: Request) -> str:
        return "X-Hub-Signature-256"


class SignatureMismatch(exceptions.AuthenticationFailed):
    """None of our secrets signed these bytes."""

    default_detail = "The signature does not match the body."
    default_code = "bad_signature"

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content


class AlwaysJSON(BaseContentNegotiation):
    """GitHub accepts anything and reads nothing."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return next(iter(renderers)), "application/json"


class DeliveryView(APIView):
    """Keep the delivery and answer at once. Everything slow or fallible happens in a worker."""

    http_method_names = ("post",)
    authentication_classes = (SignedByGitHub,)
    permission_classes = (IsAuthenticated,)
    throttle_classes = ()
    parser_classes = ()
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJSON
    schema = None  # GitHub's contract, not one of ours

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer; afterwards nothing refers to the body, and its place is free."""
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            self.request.auth = None
            budget.release(request.META.pop(TAKEN, 0))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "POST":  # before the signature: 405 tells nothing
            raise exceptions.MethodNotAllowed(str(request.method))
        super().initial(request, *args, **kwargs)

    def post(self, request: Request) -> Response:
        hook, signed = cast(GitHubHook, request.user), cast(SignedBody, request.auth)
        receipt = intake.receive(hook, signed.content, signed_by=signed.slot.name)
        intake.note(is_kept=True)
        return Response({"delivery": receipt.key, "outcome": receipt.outcome.value}, status=status.HTTP_202_ACCEPTED)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, DatabaseError):
            logger.error("delivery_not_kept", extra={"error": type(exc).__name__})
            intake.note(is_kept=False)
            exc = NotKept()
        response = super().handle_exception(exc)
        if not isinstance(exc, NotKept):
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
                body=error.content if isinstance(error, SignatureMismatch) else None,
            )
        )


def _hook(environ: dict[str, str]) -> GitHubHook:
    if not is_of_host(environ, api_url=settings.GITHUB_API_URL):
        raise exceptions.ParseError("The delivery comes from another GitHub host.", code="other_host")
    try:
        return GitHubHook.from_environ(environ)
    except MalformedHeaderError as error:
        raise exceptions.ParseError(str(error), code="malformed_header") from error
