"""Pages for people: right, bounded, and only their own."""

import re
from typing import Any

import pytest
from django.test import Client, override_settings

from apps.users.models import CustomUser
from tests.api.conftest import Cast, make_delivery

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
WEEK = "from=2026-03-02&to=2026-03-09"


def signed_in(user: CustomUser) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def read(client: Client, address: str, *, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


@pytest.mark.parametrize("address", ["/", "/teams/acme/", "/teams/acme/figures/commits/", "/api/v1/docs/", "/notes/"])
def test_anonymous_users_are_sent_to_sign_in(cast: Cast, address: str) -> None:
    answer = Client().get(address)
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={address}")


@override_settings(PUBLIC_URL="https://figures.example.com")
def test_a_new_instance_shows_the_webhook_url_to_operators() -> None:
    operator = CustomUser.objects.create_superuser("operator")
    assert "https://figures.example.com/webhooks/github/" in read(signed_in(operator), "/")
    make_delivery(1)
    assert "No team yet" in read(signed_in(operator), "/")


def test_a_user_without_a_team_sees_whom_to_ask() -> None:
    page = read(signed_in(CustomUser.objects.create_user("new")), "/")
    assert "You have no access to a team yet" in page
    assert "webhooks/github" not in page


def test_the_api_page_lists_every_operation(cast: Cast) -> None:
    page = read(signed_in(cast.viewer), "/api/v1/docs/")
    assert page.count('class="operation"') == 66
    assert "/api/v1/teams/{slug}/figures/{key}/entities/" in page
    tags = re.findall(r'href="\?tag=([\w-]+)#', page)
    for tag in dict.fromkeys(tags):
        part = read(signed_in(cast.viewer), f"/api/v1/docs/?tag={tag}")
        assert part.count('<details class="operation"') == tags.count(tag)
        assert len(part) < 150_000


@pytest.mark.parametrize(
    "address",
    [
        *("/", "/teams/acme/?section=flow", "/teams/acme/figures/commits/"),
        *("/accounts/login/", "/api/v1/docs/", "/notes/", "/operations/jobs/"),
    ],
)
def test_pages_load_nothing_from_elsewhere_and_have_no_inline_script(cast: Cast, address: str) -> None:
    answer = signed_in(cast.viewer).get(address) if "login" not in address else Client().get(address)
    page = answer.content.decode()
    loaded = re.findall(r'<(?:link|img|script|iframe)[^>]+(?:href|src)="([^"]+)"', page)
    assert loaded
    assert [url for url in loaded if not url.startswith("/static/")] == []
    assert re.findall(r"<script(?![^>]* src=)|\son\w+=|hx-on", page) == []
    assert " style=" not in page
    assert "default-src 'self'" in answer["Content-Security-Policy"]


class TestSigningIn:
    """By password, without telling who has an account."""

    def sign_in(self, username: str, password: str) -> Any:
        return Client(REMOTE_ADDR="198.51.100.7").post("/accounts/login/", {"login": username, "password": password})

    def test_the_right_password_opens_the_front_page(self) -> None:
        CustomUser.objects.create_user("ana", password="a right password")
        answer = self.sign_in("ana", "a right password")
        assert (answer.status_code, answer["Location"]) == (302, "/")
        page = answer.client.get("/").content.decode()
        assert '<p class="note success" role="status">Successfully signed in as ana.</p>' in page

    def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(self) -> None:
        CustomUser.objects.create_user("ana", password="a right password")
        pages = [
            re.sub(r'value="[^"]*"', "", self.sign_in(name, "wrong").content.decode()) for name in ("ana", "nobody")
        ]
        assert pages[0] == pages[1]
        assert "not correct" in pages[0]

    def test_users_cannot_sign_up_by_themselves(self) -> None:
        page = Client().get("/accounts/signup/").content.decode()
        assert "<form" not in page

    def test_github_sign_in_is_offered_only_when_configured(self) -> None:
        assert "GitHub" not in Client().get("/accounts/login/").content.decode()

    def test_repeated_wrong_passwords_are_blocked(self) -> None:
        CustomUser.objects.create_user("ana", password="a right password")
        statuses = [self.sign_in("ana", "wrong").status_code for _ in range(5)]
        assert statuses[-1] == 429
        assert self.sign_in("ana", "a right password").status_code != 302
