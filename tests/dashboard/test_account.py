"""One's own account: tokens, mail and teams."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.users.models import ApiToken, CustomUser
from tests.api.conftest import Cast
from tests.dashboard.test_pages import read, signed_in

pytestmark = pytest.mark.django_db
NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"


def status_with(secret: str) -> int:
    return APIClient().get("/api/v1/teams/", HTTP_AUTHORIZATION=f"Bearer {secret}").status_code


def test_a_token_is_shown_once_used_and_revoked(cast: Cast) -> None:
    client = signed_in(cast.viewer)
    client.post("/account/tokens/", {"label": "Weekly report", "days": "90"})
    [secret] = re.findall(r'<code class="secret">(tf_[^<]+)</code>', client.get("/account/").content.decode())
    assert secret not in client.get("/account/").content.decode()
    assert status_with(secret) == 200
    token = ApiToken.objects.get()
    assert (token.label, token.user) == ("Weekly report", cast.viewer)
    assert token.expires_at is not None
    assert abs(token.expires_at - token.created_at - timedelta(days=90)) < timedelta(minutes=5)
    assert "Weekly report" in read(client, "/account/")
    client.post("/account/tokens/revoke/", {"token": token.pk})
    assert status_with(secret) == 401


def test_the_tokens_of_others_are_not_there(cast: Cast) -> None:
    token, secret = ApiToken.objects.issue(user=cast.admin, label="not yours")
    client = signed_in(cast.viewer)
    assert "not yours" not in read(client, "/account/")
    assert client.post("/account/tokens/revoke/", {"token": token.pk}).status_code == 404
    assert client.post("/account/tokens/revoke/", {"token": "x"}).status_code == 404
    assert status_with(secret) == 200


@pytest.mark.parametrize("form", [{}, {"label": "x", "days": "9999"}, {"label": "x" * 101}])
def test_a_token_that_is_asked_for_wrongly_is_not_made(cast: Cast, form: dict[str, str]) -> None:
    assert signed_in(cast.viewer).post("/account/tokens/", form).status_code == 400
    assert not ApiToken.objects.exists()


def test_the_page_says_what_one_may(cast: Cast) -> None:
    page = read(signed_in(cast.admin), "/account/")
    assert "Admin: also changes the team" in page
    assert "You are an operator" in read(signed_in(cast.operator), "/account/")


class TestMail:
    """The address, by which a forgotten password is reset, and whether notes go there."""

    @pytest.fixture(autouse=True)
    def ana(self, settings: Any, db: None) -> CustomUser:
        return CustomUser.objects.create_user("ana", "ana@acme.example", "four quiet boats")

    def change(self, ana: CustomUser, **form: str) -> Any:
        answer = signed_in(ana).post("/account/mail/", form)
        ana.refresh_from_db()
        return answer

    def test_a_change_of_the_address_needs_the_password(self, ana: CustomUser) -> None:
        for password in ("", "wrong"):
            answer = self.change(ana, email="mallory@evil.example", password=password)
            assert (answer.status_code, ana.email) == (400, "ana@acme.example")
        assert self.change(ana, email="new@acme.example", password="four quiet boats").status_code == 302
        assert ana.email == "new@acme.example"

    def test_the_password_is_guessed_no_faster_than_by_signing_in(self, ana: CustomUser) -> None:
        answers = [self.change(ana, email="mallory@evil.example", password=f"guess {one}") for one in range(5)]
        assert {answer.status_code for answer in answers} == {400}
        refused = self.change(ana, email="mallory@evil.example", password="four quiet boats")
        assert (refused.status_code, ana.email) == (429, "ana@acme.example")
        assert int(refused["Retry-After"]) > 0
        credentials = {"login": "Ana", "password": "four quiet boats"}
        assert Client().post("/accounts/login/", credentials).status_code == 429, "they count together"

    def test_a_right_password_is_not_held_up(self, ana: CustomUser) -> None:
        for number in range(7):
            self.change(ana, email="mallory@evil.example", password="wrong")
            assert self.change(ana, email=f"a{number}@acme.example", password="four quiet boats").status_code == 302

    def test_without_mail_there_is_no_such_form(self, ana: CustomUser, settings: Any) -> None:
        settings.EMAIL_BACKEND = NO_MAIL
        assert self.change(ana, email="").status_code == 404
        assert 'name="email"' not in read(signed_in(ana), "/account/")
