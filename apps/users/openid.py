"""Signing in with an OpenID provider: allauth's views, with answers whose signature, issuer and subject are checked."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import jwt
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from requests import RequestException

PROVIDER, PROVIDER_ID = "openid_connect", "sso"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
REQUIRED = ("iss", "sub", "aud", "exp", "iat")
LEEWAY_S = 60
KEPT = ("iss", "sub", "email", "email_verified", "preferred_username", "name", "given_name", "family_name")
"""What is stored of a person."""
logger = logging.getLogger(__name__)


def openid_app() -> SocialApp | None:
    """Return the provider as allauth knows one; None without OIDC_ISSUER."""
    if not settings.OIDC_ISSUER:
        return None
    return SocialApp(
        provider=PROVIDER,
        provider_id=PROVIDER_ID,
        name=settings.OIDC_NAME,
        client_id=settings.OIDC_CLIENT_ID,
        secret=settings.OIDC_CLIENT_SECRET,
        settings={"server_url": settings.OIDC_ISSUER, "uid_field": "account", "oauth_pkce_enabled": True},
    )


class CheckedOpenID(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth has no types
    """The provider, of which nothing is believed that its keys did not sign for us."""

    @property
    def openid_config(self) -> Mapping[str, Any]:
        """Return the provider's description of itself; OAuth2Error if it is that of another issuer."""
        found: Mapping[str, Any] = super().openid_config
        if str(found.get("issuer", "")).rstrip("/") != settings.OIDC_ISSUER.rstrip("/"):
            raise OAuth2Error("The provider calls itself by another issuer than OIDC_ISSUER.")
        return found

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **options: Any) -> Any:
        """Return the login of the person whom the ID token names."""
        claims = self.checked_claims(options["response"].get("id_token"), client_id=app.client_id)
        if "email" not in claims and "userinfo_endpoint" in self.openid_config:
            more = self._fetch_user_info(token.token)
            if more.get("sub") != claims["sub"]:
                raise OAuth2Error("The profile is that of somebody else.")
            claims = {**more, **claims}
        person = {name: claims[name] for name in KEPT if name in claims}
        person["account"] = hashlib.sha256(f"{claims['iss']}\n{claims['sub']}".encode()).hexdigest()
        return self.get_provider().sociallogin_from_response(request, {"id_token": person})

    def checked_claims(self, id_token: str | None, *, client_id: str) -> dict[str, Any]:
        """Return the claims of an ID token that the provider signed for us; OAuth2Error for any other."""
        config = self.openid_config
        with get_adapter().get_requests_session() as session:
            answer = session.get(str(config.get("jwks_uri")))
            answer.raise_for_status()
        try:
            key = _key_of(str(id_token), keys=answer.json())
            claims: dict[str, Any] = jwt.decode(
                str(id_token),
                key=key,
                algorithms=ALGORITHMS,
                audience=client_id,
                issuer=config["issuer"],
                leeway=LEEWAY_S,
                options={"require": list(REQUIRED)},
            )
        except (jwt.PyJWTError, StopIteration, TypeError) as error:
            raise OAuth2Error("The ID token is not valid.") from error
        if claims.get("azp", client_id) != client_id:
            raise OAuth2Error("The ID token is for another client.")
        return claims


def _key_of(id_token: str, *, keys: Mapping[str, Any]) -> jwt.PyJWK:
    named = jwt.get_unverified_header(id_token).get("kid")
    known = [key for key in jwt.PyJWKSet.from_dict(dict(keys)).keys if key.public_key_use in (None, "sig")]
    return next(key for key in known if key.key_id == named or (named is None and len(known) == 1))


def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Lead to the provider by a page of ours: a policy for forms cannot know all hosts that a provider leads on to."""
    adapter = adapter_of(request, provider_id)
    try:
        _ = adapter.openid_config
        answer: HttpResponse = OAuth2LoginView.adapter_view(adapter)(request)
    except (RequestException, OAuth2Error, KeyError, ValueError) as error:
        logger.warning("openid_provider_failed", extra={"error": type(error).__name__})
        return render(request, "socialaccount/authentication_error.html", {"is_away": True}, status=503)
    if not answer.has_header("Location"):
        return answer
    context = {"url": answer["Location"], "name": settings.OIDC_NAME}
    return render(request, "socialaccount/continue.html", context)


def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Sign in the person whom the provider sends back."""
    answer: HttpResponse = OAuth2CallbackView.adapter_view(adapter_of(request, provider_id))(request)
    return answer


def adapter_of(request: HttpRequest, provider_id: str) -> CheckedOpenID:
    if not settings.OIDC_ISSUER or provider_id != PROVIDER_ID:
        raise Http404("Nobody signs in with such a provider here.")
    return CheckedOpenID(request, provider_id)
