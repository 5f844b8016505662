"""A forgotten password: a link by mail, where mail can be sent, which says nothing about who has an account."""

import re
from typing import Any

import pytest
from celery import current_app
from django.core import mail
from django.core.cache import cache
from django.test import Client

from apps.jobs import wakeups
from apps.notifications import tasks
from apps.users.models import CustomUser
from tests.webhooks.proxies import refused_port

pytestmark = pytest.mark.django_db
SEND = wakeups.send
NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"
FORGOTTEN = "/accounts/password/reset/"
NEW = {"password1": "five quiet boats", "password2": "five quiet boats"}


@pytest.fixture(autouse=True)
def sent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """What workers are asked to send, done at once."""
    messages: list[list[Any]] = []

    def send(found: Any) -> int:
        for one in found:
            messages.append(one.keywords["args"])
            tasks.send_email(*one.keywords["args"])
        return len(messages)

    monkeypatch.setattr("apps.dashboard.password_reset.wakeups.send", send)
    cache.clear()
    return messages


@pytest.fixture(autouse=True)
def ana() -> CustomUser:
    return CustomUser.objects.create_user("ana", "Ana@acme.example", "four quiet boats")


def ask(email: str = "ana@acme.example") -> Any:
    return Client().post(FORGOTTEN, {"email": email}, follow=True)


def link() -> str:
    found = re.search(r"http\S+?(/accounts/password/reset/key/\S+)", mail.outbox[-1].body)
    assert found
    return found[1]


def test_the_link_sets_a_password_once_and_ends_all_sessions(ana: CustomUser) -> None:
    old = Client()
    old.post("/accounts/login/", {"login": "ana", "password": "four quiet boats"})
    assert "Forgot your password?" in Client().get("/accounts/login/").content.decode()
    assert "Check your email" in ask().content.decode()
    client = Client()
    page = client.get(link(), follow=True)
    assert link().split("-", 2)[-1].strip("/") not in page.redirect_chain[-1][0], "no Referer has the key"
    assert "too short" in client.post(page.request["PATH_INFO"], {"password1": "x", "password2": "x"}).content.decode()
    done = client.post(page.request["PATH_INFO"], NEW, follow=True)
    assert "Your password was changed" in done.content.decode()
    ana.refresh_from_db()
    assert ana.check_password("five quiet boats")
    assert old.get("/").status_code == 302
    assert "This link cannot be used" in Client().get(link(), follow=True).content.decode()


def test_the_answer_does_not_say_who_has_an_account(sent: list[list[Any]]) -> None:
    known, unknown = ask(), ask("nobody@acme.example")
    strip = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')
    assert strip.sub("", known.content.decode()) == strip.sub("", unknown.content.decode())
    assert [len(sent), len(mail.outbox)] == [2, 1]


def test_no_link_is_promised_where_no_worker_can_be_asked_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.password_reset.wakeups.send", SEND)
    monkeypatch.setattr(current_app.conf, "broker_write_url", f"redis://127.0.0.1:{refused_port()}/0")
    answers = [ask("ana@acme.example"), ask("nobody@acme.example")]
    pages = [re.sub('value="[^"]*"', "", answer.content.decode()) for answer in answers]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert "No mail can be sent just now." in pages[0]
    assert "on its way" not in pages[0]
    assert pages[0] == pages[1]


def test_the_queue_holds_no_link(sent: list[list[Any]], ana: CustomUser) -> None:
    ask()
    assert sent == [[ana.pk, "password_reset", {}]]


def test_who_signs_in_elsewhere_or_was_deactivated_gets_none(ana: CustomUser) -> None:
    ana.set_unusable_password()
    ana.save()
    CustomUser.objects.create_user("ben", "ben@acme.example", "four quiet boats", is_active=False)
    ask()
    ask("ben@acme.example")
    assert mail.outbox == []


def test_another_address_ends_the_link(ana: CustomUser) -> None:
    ask()
    client = Client()
    client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    client.post("/account/mail/", {"email": "new@acme.example", "password": "four quiet boats"})
    assert "This link cannot be used" in Client().get(link(), follow=True).content.decode()


def test_asking_often_ends_in_a_page(sent: list[list[Any]]) -> None:
    statuses = [ask().status_code for _ in range(7)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    assert "Too many requests" in ask().content.decode()


@pytest.mark.parametrize("address", [FORGOTTEN, f"{FORGOTTEN}done/", f"{FORGOTTEN}key/1-abc/", f"{FORGOTTEN}key/done/"])
def test_where_no_mail_can_be_sent_there_is_no_such_page(settings: Any, address: str) -> None:
    settings.EMAIL_BACKEND = NO_MAIL
    assert Client().get(address).status_code == 404
    assert "Forgot your password?" not in Client().get("/accounts/login/").content.decode()


def test_a_password_is_changed_in_the_house_s_style(ana: CustomUser) -> None:
    client = Client()
    client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/accounts/password/change/").content.decode()
    assert "Current password" in page
    wrong = client.post("/accounts/password/change/", {"oldpassword": "wrong", **NEW}).content.decode()
    assert 'aria-invalid="true"' in wrong
    done = client.post("/accounts/password/change/", {"oldpassword": "four quiet boats", **NEW}, follow=True)
    assert "Your password was changed." in done.content.decode()
    assert done.redirect_chain[-1][0] == "/account/"
