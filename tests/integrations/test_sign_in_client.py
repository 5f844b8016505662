"""The App that people sign in with: of the environment, or stored while everything runs."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from cryptography.fernet import Fernet
from django.test import Client

from apps.common.encryption import encrypt
from apps.github.credentials import sign_in_client
from apps.github.models import AppRegistration

pytestmark = pytest.mark.django_db
BUTTON = "Sign in with GitHub"


def register(app_id: int = 7, *, client_id: str = "Iv1.stored") -> AppRegistration:
    return AppRegistration.objects.create(
        app_id=app_id,
        slug="acme-figures",
        name="Acme figures",
        html_url="https://github.com/apps/acme-figures",
        owner="acme",
        client_id=client_id,
        encrypted_client_secret=encrypt("the client secret"),
    )


def led_to(answer: Any) -> tuple[str, str]:
    """The page and the client that a browser is led to."""
    address = urlsplit(answer["Location"])
    return f"{address.scheme}://{address.netloc}{address.path}", parse_qs(address.query)["client_id"][0]


def test_without_an_app_nobody_signs_in_with_github() -> None:
    client = Client()
    assert BUTTON not in client.get("/accounts/login/").content.decode()
    assert client.post("/accounts/github/login/").status_code == 404
    assert client.get("/accounts/github/login/callback/?code=1&state=2").status_code == 404


def test_with_a_stored_app_people_do_without_a_restart() -> None:
    register()
    client = Client()
    assert BUTTON in client.get("/accounts/login/").content.decode()
    answer = client.post("/accounts/github/login/")
    assert led_to(answer) == ("https://github.com/login/oauth/authorize", "Iv1.stored")


def test_the_environment_comes_first(settings: Any) -> None:
    register()
    settings.GITHUB_CLIENT_ID, settings.GITHUB_CLIENT_SECRET = "Iv1.environment", "another"
    assert led_to(Client().post("/accounts/github/login/"))[1] == "Iv1.environment"


def test_of_several_the_client_is_that_of_the_app_in_use(settings: Any) -> None:
    register(7, client_id="Iv1.first")
    register(8, client_id="Iv1.second")
    AppRegistration.objects.filter(app_id=7).update(registered_at="2026-01-01T00:00:00Z")
    assert sign_in_client().client_id == "Iv1.second"
    settings.GITHUB_APP_ID = 7
    assert sign_in_client().client_id == "Iv1.first"
    settings.GITHUB_APP_ID = 9
    assert sign_in_client() is None


def test_a_client_whose_key_is_lost_closes_only_this_way_in(settings: Any) -> None:
    register()
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    page = Client().get("/accounts/login/")
    assert (page.status_code, BUTTON in page.content.decode()) == (200, False)


def test_the_client_secret_is_in_no_repr_and_not_in_the_clear() -> None:
    kept = register()
    assert "the client secret" not in repr(sign_in_client())
    assert b"secret" not in bytes(kept.encrypted_client_secret)


def test_only_pages_that_lead_to_github_let_forms_go_there() -> None:
    for url, leads_there in (("/accounts/login/", True), ("/nothing/", False)):
        policy = Client().get(url)["Content-Security-Policy"]
        [forms] = [one for one in policy.split("; ") if one.startswith("form-action")]
        assert ("https://github.com" in forms) is leads_there, url


def test_profiles_are_read_from_the_api_of_the_settings(settings: Any) -> None:
    assert GitHubOAuth2Adapter.profile_url == f"{settings.GITHUB_API_URL}/user"
