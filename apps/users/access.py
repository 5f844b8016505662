"""Access of users: the token in `Authorization: Bearer tf_…`, and what only operators may do."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.users.models import ApiToken, CustomUser, digest_of

KEYWORDS = {b"bearer", b"token"}
PARTS = 2


class TokenAuthentication(BaseAuthentication):
    """Authenticate the user of a valid token; anything else in the header is 401 with the same message."""

    def authenticate(self, request: Request) -> tuple[CustomUser, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() not in KEYWORDS:
            return None
        token = find(words[1]) if len(words) == PARTS else None
        if token is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.")
        ApiToken.objects.note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def find(secret: bytes) -> ApiToken | None:
    """Return the valid token with this secret, with its user."""
    digest = digest_of(secret.decode(errors="replace"))
    return ApiToken.objects.live().select_related("user").filter(digest=digest).first()


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The token authentication in the OpenAPI description."""

    target_class = "apps.users.access.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "Your account's page or `manage.py token USERNAME` makes one: `Authorization: Bearer tf_…`.",
        }


def is_operator(user: Any) -> bool:
    """Return whether the user is an operator: an active superuser."""
    return bool(user.is_authenticated and user.is_active and user.is_superuser)


class OnlyOperators(BasePermission):
    """Allow only operators, who may read bodies and replay.

    Checked for the object, so that what the user may not see is 404 before it is 403.
    """

    message = "Only operators may do this."

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return is_operator(request.user)
