"""The door: what GitHub posts is checked, kept and answered."""

import logging
from collections.abc import Iterable
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

from apps.webhooks import conflicts, intake, refusals
from apps.webhooks.origin import GitHubHook, MalformedHeader, is_of_host, kept_headers
from apps.webhooks.request_body import budget, check_framing, read_content
from apps.webhooks.signature import SecretSlot, active_slots, is_signature, signing_slot

TAKEN = "tformance.body_bytes_taken"
logger = logging.getLogger(__name__)


class NotKept(exceptions.APIException):
    """Nothing is known to be stored; a later commit is harmless, for GitHub delivers again under the same key."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The delivery could not be kept. Deliver it again."
    default_code = "not_kept"


@dataclass(frozen=True, slots=True)
class SignedBody:
    """The bytes that GitHub signed, and with which secret."""

    slot: SecretSlot
    content: bytes = field(repr=False)


class SignedByGitHub(BaseAuthentication):
    """The signature is the login: GitHub has no other with us. A bad one is 401, never 403."""

    def authenticate(self, request: Request) -> tuple[GitHubHook, SignedBody]:
        environ = request.META
        slots = active_slots()
        if not slots:
            raise NotKept("There is no active webhook secret.", code="no_secret")
        length = check_framing(environ)
        header = environ.get("HTTP_X_HUB_SIGNATURE_256", "")
        if not is_signature(header):
            raise exceptions.AuthenticationFailed("X-Hub-Signature-256 is missing or malformed.", code="no_signature")
        environ[TAKEN] = budget.take(length)
        content = read_content(request._request, length=length)  # DRF's request has no bounded read
        slot = signing_slot(content, header=header, slots=slots)
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
        conflicts.note(is_kept=True)
        return Response({"delivery": receipt.key, "outcome": receipt.outcome.value}, status=status.HTTP_202_ACCEPTED)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, DatabaseError):
            logger.error("delivery_not_kept", extra={"error": type(exc).__name__})
            conflicts.note(is_kept=False)
            exc = NotKept()
        response = super().handle_exception(exc)
        if not isinstance(exc, NotKept):
            self._note_refusal(exc, status_code=response.status_code)
        return response

    def _note_refusal(self, error: Exception, *, status_code: int) -> None:
        environ = self.request.META
        length = environ.get("CONTENT_LENGTH", "")
        reason = str(error.get_codes()) if isinstance(error, exceptions.APIException) else type(error).__name__
        refusals.note(
            refusals.Refused(
                status=status_code,
                reason=reason,
                headers=kept_headers(environ),
                size=int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None,  # noqa: PLR2004  bigint
                body=error.content if isinstance(error, SignatureMismatch) else None,
            )
        )


def _hook(environ: dict[str, str]) -> GitHubHook:
    if not is_of_host(environ, api_url=settings.GITHUB_API_URL):
        raise exceptions.ParseError("The delivery comes from another GitHub host.", code="other_host")
    try:
        return GitHubHook.from_environ(environ)
    except MalformedHeader as error:
        raise exceptions.ParseError(str(error), code="malformed_header") from error
