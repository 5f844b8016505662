"""An invitation: a link that is used once, leaks nowhere, and gives a role in one team."""

import re
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings as django_settings
from django.core import mail
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.notifications.invitations import MOST_OPEN, invite
from apps.teams.models import Invitation, TeamAccess
from apps.users.models import CustomUser
from tests.api.conftest import Cast
from tests.dashboard.test_pages import read, signed_in
from tests.dashboard.two_clicks import both_at

pytestmark = pytest.mark.django_db
NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"
NEW = {
    "username": "nora",
    "password1": "four quiet boats",
    "password2": "four quiet boats",
    "email": "nora@acme.example",
}


def make_link(cast: Cast, role: str = "viewer", **form: str) -> str:
    """Return the path of the link that the page of people shows an admin."""
    client = signed_in(cast.admin)
    answer = client.post(reverse("invite-person", args=["acme"]), {"role": role, **form})
    found = re.search(r'<code class="secret">(http[^<]*)</code>', client.get(answer["Location"]).content.decode())
    assert found, "the link"
    assert found[1].startswith(django_settings.PUBLIC_URL)
    return found[1].removeprefix(django_settings.PUBLIC_URL)


def follow(link: str, client: Client | None = None) -> tuple[Client, Any]:
    client = client or Client()
    return client, client.get(link, follow=True)


def test_somebody_new_makes_an_account_and_joins(cast: Cast) -> None:
    client, answer = follow(make_link(cast, "lead"))
    page = re.sub(r"\s+", " ", answer.content.decode())
    for shown in (
        "Join acme",
        "<strong>admin</strong> invited you",
        "pull requests, reviews and deployments",
        "<strong>lead</strong>",
    ):
        assert shown in page
    key = client.session.session_key
    done = client.post("/invitation/", NEW, follow=True)
    nora = CustomUser.objects.get(username="nora")
    assert "Welcome to acme." in done.content.decode()
    assert client.session.session_key != key, "a session that somebody knew before is not that of the new user"
    assert (nora.is_staff, nora.is_superuser, nora.check_password(NEW["password1"])) == (False, False, True)
    assert TeamAccess.objects.get(user=nora).role == "lead"
    assert Client().post("/accounts/login/", {"login": "nora", "password": NEW["password1"]}).status_code == 302


def test_a_link_is_used_once(cast: Cast) -> None:
    link = make_link(cast)
    first, _ = follow(link)
    second, _ = follow(link)
    assert first.post("/invitation/", NEW).status_code == 302
    answer = second.post("/invitation/", NEW | {"username": "mallory"})
    assert (answer.status_code, CustomUser.objects.filter(username="mallory").exists()) == (404, False)
    assert "cannot be used" in follow(link)[1].content.decode()


def test_the_secret_is_stored_nowhere_and_in_no_address_but_its_own(cast: Cast) -> None:
    link = make_link(cast)
    secret = link.split("/")[2]
    client = Client()
    answer = client.get(link)
    assert (answer.status_code, answer["Location"]) == (302, "/invitation/")
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]
    assert secret not in str(dict(client.session))
    assert secret not in client.get("/invitation/").content.decode()
    assert secret.encode() not in bytes(Invitation.objects.get().digest)
    assert secret not in read(signed_in(cast.admin), "/people/"), "it is shown once"


@pytest.mark.parametrize("how", ["expired", "revoked", "its author left", "its author is a viewer now", "deactivated"])
def test_an_invitation_ends(cast: Cast, how: str) -> None:
    link = make_link(cast)
    client, _ = follow(link)
    if how == "expired":
        Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif how == "revoked":
        signed_in(cast.admin).post(
            reverse("revoke-invitation", args=["acme"]), {"invitation": Invitation.objects.get().pk}
        )
    elif how == "its author left":
        TeamAccess.objects.filter(user=cast.admin).delete()
    elif how == "deactivated":
        CustomUser.objects.filter(pk=cast.admin.pk).update(is_active=False)
    else:
        TeamAccess.objects.filter(user=cast.admin).update(role="viewer")
    assert client.post("/invitation/", NEW).status_code == 404
    assert follow(link)[1].status_code == 404
    assert not CustomUser.objects.filter(username="nora").exists()


def test_a_second_click_makes_a_new_link_instead_of_the_first(cast: Cast) -> None:
    make_link(cast, "lead"), make_link(cast)
    first, second = make_link(cast), make_link(cast)
    assert Invitation.objects.open().filter(role="viewer").count() == 1
    assert follow(first)[1].status_code == 404
    assert follow(second)[1].status_code == 200
    assert Invitation.objects.open().filter(role="lead").exists(), "it is another one"
    Invitation.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    make_link(cast)
    assert follow(second)[1].status_code == 200, "it was no second click"


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_make_one_invitation(cast: Cast) -> None:
    """Each is held when it has made one: where neither waits for the other, both come there."""
    with both_at(Invitation.objects, "issue") as together:
        together(lambda: invite(cast.teams["acme"], role="viewer", email="nora@acme.example", by=cast.admin))
    assert (Invitation.objects.count(), len(mail.outbox)) == (1, 1)


def test_it_lasts_a_week(cast: Cast) -> None:
    make_link(cast)
    assert timedelta(days=6, hours=23) < Invitation.objects.get().expires_at - timezone.now() <= timedelta(days=7)


def test_who_is_signed_in_joins_with_a_click_and_never_loses_a_role(cast: Cast) -> None:
    client, answer = follow(make_link(cast, "viewer"), signed_in(cast.stranger))
    assert "Join as stranger" in answer.content.decode()
    assert not TeamAccess.objects.filter(user=cast.stranger, team=cast.teams["acme"]).exists(), "not by opening it"
    client.post("/invitation/")
    assert TeamAccess.objects.get(user=cast.stranger, team=cast.teams["acme"]).role == "viewer"
    follow(make_link(cast, "viewer"), admin := signed_in(cast.admin))
    admin.post("/invitation/")
    assert TeamAccess.objects.get(user=cast.admin).role == "admin"


def test_who_has_an_account_signs_in_and_joins(cast: Cast) -> None:
    CustomUser.objects.create_user("olga", password="four quiet boats")
    client, answer = follow(make_link(cast))
    assert "/accounts/login/?next=/invitation/" in answer.content.decode()
    signed = client.post("/accounts/login/", {"login": "olga", "password": "four quiet boats", "next": "/invitation/"})
    assert signed["Location"] == "/invitation/"
    assert "Join as olga" in client.get("/invitation/").content.decode()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"password1": "short", "password2": "short"}, "too short"),
        ({"password1": "password1", "password2": "password1"}, "too common"),
        ({"password2": "another"}, "match."),
        ({"username": "VIEWER"}, "already exists"),
        ({"username": ""}, "required"),
        ({"email": "nobody"}, "valid email"),
    ],
)
def test_a_form_that_is_wrong_says_why_and_uses_nothing_up(
    cast: Cast, settings: Any, changed: dict[str, str], said: str
) -> None:
    client, _ = follow(make_link(cast))
    page = client.post("/invitation/", NEW | changed).content.decode()
    assert said in page
    assert Invitation.objects.open().count() == 1


def test_nothing_is_there_without_a_link(cast: Cast) -> None:
    assert Client().get("/invitation/").status_code == 404
    assert Client().post("/invitation/", NEW).status_code == 404
    client, _ = follow(make_link(cast))
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post("/invitation/", NEW).status_code == 403


def test_guessing_ends(cast: Cast) -> None:
    link = make_link(cast)
    for _ in range(5):
        assert Client().get("/invitations/guessed/").status_code == 404
    answer = Client().get("/invitations/guessed/")
    assert (answer.status_code, 800 < int(answer["Retry-After"]) <= 900) == (429, True)
    assert "Try again in 15 minutes" in answer.content.decode()
    assert Client().get(link).status_code == 429, "also a right guess is not heard"
    assert Client(REMOTE_ADDR="198.51.100.7").get(link).status_code == 302, "but elsewhere"
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=16))
    assert Client().get(link).status_code == 302


def test_links_that_are_right_are_not_counted(cast: Cast) -> None:
    link = make_link(cast)
    assert {Client().get(link).status_code for _ in range(12)} == {302}


class TestMail:
    """Where mail can be sent, the link is sent."""

    def test_the_link_is_sent_and_not_shown(self, cast: Cast, settings: Any) -> None:
        client = signed_in(cast.admin)
        assert 'name="email"' in client.get("/people/").content.decode()
        form = {"role": "viewer", "email": "nora@acme.example"}
        answer = client.post(reverse("invite-person", args=["acme"]), form)
        [message] = mail.outbox
        assert (message.to, message.subject) == (["nora@acme.example"], "admin invites you to acme on tformance")
        found = re.search(rf"{settings.PUBLIC_URL}(/invitations/\S+)", message.body)
        page = client.get(answer["Location"]).content.decode()
        assert found
        assert found[1] not in page
        assert "The invitation was sent to nora@acme.example" in page
        assert 'value="nora@acme.example"' in follow(found[1])[1].content.decode()

    def test_a_mail_that_fails_leaves_the_link(self, cast: Cast, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        assert make_link(cast, email="nora@acme.example").startswith("/invitations/")

    @pytest.mark.parametrize(
        ("email", "has_email"), [("nora@acme.example", False), ("nora", True), ("a@b\nBcc: c@d", True)]
    )
    def test_nothing_is_made_for_an_address_that_no_mail_goes_to(
        self, cast: Cast, settings: Any, email: str, has_email: bool
    ) -> None:
        settings.EMAIL_BACKEND = settings.EMAIL_BACKEND if has_email else NO_MAIL
        signed_in(cast.admin).post(reverse("invite-person", args=["acme"]), {"role": "viewer", "email": email})
        assert (Invitation.objects.count(), mail.outbox) == (0, [])


def test_a_team_has_a_limit_of_open_invitations(cast: Cast) -> None:
    for _ in range(MOST_OPEN):
        Invitation.objects.issue(team=cast.teams["acme"], role="viewer")
    signed_in(cast.admin).post(reverse("invite-person", args=["acme"]), {"role": "viewer"})
    assert Invitation.objects.count() == MOST_OPEN
