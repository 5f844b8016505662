"""Signing in with an OpenID provider: who comes in, and which answers are believed."""

import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.urls import reverse

from apps.teams.models import Invitation, Team, TeamAccess
from apps.users.models import CustomUser
from tests.users.openid_provider import CLIENT_ID, CLIENT_SECRET, OTHER_KEY, OpenIDProvider

pytestmark = pytest.mark.django_db
LOGIN, CALLBACK = "/accounts/oidc/sso/login/", "/accounts/oidc/sso/login/callback/"
VERIFIED = {"email": "Nora@acme.example", "email_verified": True}


@pytest.fixture
def provider(settings: Any) -> Iterator[OpenIDProvider]:
    with OpenIDProvider() as provider:
        settings.OIDC_ISSUER, settings.OIDC_NAME = provider.issuer, "Acme ID"
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
        settings.OIDC_DOMAINS = ["acme.example"]
        yield provider


def come(provider: OpenIDProvider, *, client: Client | None = None, next_url: str = "/") -> Any:
    """Sign in as a browser does, and return our last answer."""
    client = client or Client()
    answer = client.post(f"{LOGIN}?process=login&next={next_url}")
    assert answer.status_code == 200, "a page that leads on"
    [address] = re.findall(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.content.decode())
    return client.get(f"{CALLBACK}?{provider.authorize(unescape(address))}")


def title(answer: Any) -> str:
    return str(answer.content.decode().partition("<h1>")[2].partition("</h1>")[0])


def test_somebody_of_a_domain_comes_in(provider: OpenIDProvider) -> None:
    provider.claims |= VERIFIED
    client = Client()
    assert "Sign in with Acme ID" in client.get("/accounts/login/").content.decode()
    answer = come(provider, client=client)
    nora = CustomUser.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert (nora.username, nora.email, nora.has_usable_password(), nora.is_staff) == (
        "nora",
        "nora@acme.example",
        False,
        False,
    )
    assert client.get("/account/").status_code == 200
    come(provider)
    assert CustomUser.objects.count() == 1


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"email": "nora@acme.example"},
        {"email": "nora@acme.example", "email_verified": False},
        {"email": "nora@evil.example", "email_verified": True},
        {"email": "nora@acme.example.evil.example", "email_verified": True},
        {"email": "nora@evil.example@acme.example.", "email_verified": True},
    ],
)
def test_nobody_new_comes_otherwise(provider: OpenIDProvider, claims: dict[str, Any]) -> None:
    provider.claims |= claims
    answer = come(provider)
    assert (answer.status_code, title(answer)) == (403, "You have no account here yet")
    assert not CustomUser.objects.exists()


def test_somebody_invited_comes_in_and_joins(provider: OpenIDProvider) -> None:
    team = Team.objects.create(name="Core", slug="core")
    _, secret = Invitation.objects.issue(team=team, role="lead")
    client = Client()
    page = client.get(reverse("invitation", args=[secret]), follow=True).content.decode()
    assert "Continue with Acme ID" in page
    answer = come(provider, client=client, next_url="/invitation/")
    assert answer["Location"] == "/"
    assert TeamAccess.objects.get(user__username="nora").role == "lead"
    provider.claims["sub"] = "4712"
    assert come(provider, client=client).status_code == 403, "the invitation is used up"


def test_who_has_an_account_elsewhere_joins_another_team_by_a_click(provider: OpenIDProvider) -> None:
    provider.claims |= VERIFIED
    come(provider)
    _, secret = Invitation.objects.issue(team=Team.objects.create(name="Core", slug="core"), role="viewer")
    client = Client()
    client.get(reverse("invitation", args=[secret]))
    assert come(provider, client=client, next_url="/invitation/")["Location"] == "/invitation/"
    assert not TeamAccess.objects.exists()
    client.post("/invitation/")
    assert TeamAccess.objects.get().user.username == "nora"


@pytest.mark.parametrize("is_verified", [True, False])
def test_no_address_and_no_name_leads_into_the_account_of_somebody_else(
    provider: OpenIDProvider, is_verified: bool
) -> None:
    boss = CustomUser.objects.create_superuser("nora", "nora@acme.example", "four quiet boats")
    provider.claims |= VERIFIED | {"email_verified": is_verified}
    answer = come(provider)
    assert answer.status_code == (302 if is_verified else 403)
    assert not SocialAccount.objects.filter(user=boss).exists()
    others = CustomUser.objects.exclude(pk=boss.pk)
    assert [(one.email, one.is_superuser) for one in others] == ([("", False)] if is_verified else [])


def test_who_was_deactivated_stays_out(provider: OpenIDProvider) -> None:
    provider.claims |= VERIFIED
    come(provider)
    CustomUser.objects.update(is_active=False)
    client = Client()
    come(provider, client=client)
    assert client.get("/").status_code == 302


def test_the_session_is_a_new_one(provider: OpenIDProvider) -> None:
    provider.claims |= VERIFIED
    client = Client()
    client.post(f"{LOGIN}?process=login")
    before = client.session.session_key
    come(provider, client=client)
    assert client.session.session_key != before


LIES: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "another client": {"aud": "another"},
    "several clients": {"aud": [CLIENT_ID, "another"], "azp": "another"},
    "expired": {"exp": int(time.time()) - 3600},
    "nobody": {"sub": None},
}


@pytest.mark.parametrize("claims", LIES.values(), ids=LIES.keys())
def test_a_token_that_is_not_for_us_is_not_believed(provider: OpenIDProvider, claims: dict[str, Any]) -> None:
    provider.claims |= VERIFIED | claims
    answer = come(provider)
    assert (answer.status_code, title(answer)) == (401, "Sign-in failed")
    assert not CustomUser.objects.exists()


@pytest.mark.parametrize("lie", ["another key", "none", "HS256"])
def test_a_token_that_the_provider_did_not_sign_is_not_believed(provider: OpenIDProvider, lie: str) -> None:
    provider.claims |= VERIFIED
    provider.signed_by, provider.algorithm = OTHER_KEY, "RS256" if lie == "another key" else lie
    assert come(provider).status_code == 401
    assert provider.exchanged, "the code was right"
    assert not CustomUser.objects.exists()


def test_a_profile_of_somebody_else_is_not_believed(provider: OpenIDProvider) -> None:
    provider.profile = VERIFIED | {"sub": "1"}
    assert come(provider).status_code == 401
    provider.profile = VERIFIED | {"sub": "4711"}
    assert come(provider).status_code == 302


def test_the_same_number_of_another_issuer_is_another_person(provider: OpenIDProvider, settings: Any) -> None:
    provider.claims |= VERIFIED
    come(provider)
    with OpenIDProvider() as other:
        other.claims |= VERIFIED | {"preferred_username": "mallory"}
        settings.OIDC_ISSUER = other.issuer
        come(other)
    assert set(CustomUser.objects.values_list("username", flat=True)) == {"nora", "mallory"}


def test_a_state_that_is_not_ours_is_refused(provider: OpenIDProvider) -> None:
    provider.claims |= VERIFIED
    assert Client().get(f"{CALLBACK}?code=code-0&state=guessed").status_code == 401
    stolen = Client()
    page = stolen.post(f"{LOGIN}?process=login").content.decode()
    [address] = re.findall(r'content="0;url=([^"]+)"', page)
    assert Client().get(f"{CALLBACK}?{provider.authorize(unescape(address))}").status_code == 401, "of another browser"


def test_a_provider_that_is_away_or_calls_itself_otherwise_is_503(provider: OpenIDProvider, settings: Any) -> None:
    provider.description = {"issuer": "https://evil.example"}
    assert title(Client().post(LOGIN)) == "The sign-in provider is not responding"
    settings.OIDC_ISSUER = "http://127.0.0.1:1"
    assert Client().post(LOGIN).status_code == 503


def test_without_a_provider_there_is_no_such_page(db: None) -> None:
    assert "single sign-on" not in Client().get("/accounts/login/").content.decode()
    for address in (LOGIN, CALLBACK, "/accounts/oidc/other/login/"):
        assert Client().get(address).status_code == 404


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_nobody_is_led_elsewhere_after_signing_in(provider: OpenIDProvider, target: str) -> None:
    provider.claims |= VERIFIED
    assert come(provider, next_url=target)["Location"] == "/"
    CustomUser.objects.create_user("ana", password="four quiet boats")
    form = {"login": "ana", "password": "four quiet boats", "next": target}
    assert Client().post("/accounts/login/", form)["Location"] == "/"
