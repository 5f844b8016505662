"""Signing in with a password: guessing ends, and nobody can lock anybody else out."""

import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.urls import urlpatterns as pages_of_allauth
from axes.models import AccessAttempt, AccessLog
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from django.db.models import F
from django.test import Client
from django.urls import URLResolver, reverse

from apps.users.models import CustomUser
from apps.users.urls import SERVED, WITH_MAIL

pytestmark = pytest.mark.django_db
RIGHT, WRONG = "a right password", "a wrong one"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture(autouse=True)
def ana() -> CustomUser:
    return CustomUser.objects.create_user("ana", password=RIGHT)


def sign_in(name: str = "ana", password: str = WRONG, *, address: str = HOME) -> Any:
    """Post the form as it reaches a process that was started just now: what only a process remembers is forgotten."""
    cache.clear()
    return Client(REMOTE_ADDR=address).post("/accounts/login/", {"login": name, "password": password})


def is_let_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


def fail(times: int, name: str = "ana", *, address: str = HOME) -> list[int]:
    return [sign_in(name, address=address).status_code for _ in range(times)]


def let_time_pass(minutes: float) -> None:
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=minutes))


def test_the_fifth_failure_locks_name_and_address_whatever_process_answers() -> None:
    assert fail(5) == [200, 200, 200, 200, 429]
    answer = sign_in(password=RIGHT)
    assert (answer.status_code, 840 < int(answer["Retry-After"]) <= 900) == (429, True)
    assert "Try again in 15 minutes" in answer.content.decode()
    assert 'class="top"' in answer.content.decode()


@pytest.mark.parametrize("spelling", ["ANA", "Ana", " ana "])
def test_another_spelling_is_the_same_name(spelling: str) -> None:
    fail(3, spelling)
    fail(2)
    assert not is_let_in(sign_in(spelling, RIGHT))
    assert not is_let_in(sign_in(password=RIGHT))


def test_who_signs_in_by_another_spelling_starts_from_nothing_again() -> None:
    fail(4, "Ana")
    assert is_let_in(sign_in("aNA", RIGHT))
    assert fail(4) == [200] * 4


def test_a_lock_ends_though_somebody_tries_on() -> None:
    fail(5)
    let_time_pass(14)
    fail(3)
    let_time_pass(1.1)
    assert is_let_in(sign_in(password=RIGHT))


def test_an_old_failure_does_not_count() -> None:
    fail(4)
    let_time_pass(15.1)
    assert fail(4) == [200] * 4


def test_failures_from_elsewhere_do_not_lock_a_user_out() -> None:
    for number in range(20):
        fail(2, address=f"203.0.113.{number}")
    assert is_let_in(sign_in(password=RIGHT))


def test_the_limits_are_those_of_the_database_alone() -> None:
    cache.clear()
    for number in range(8):
        Client(REMOTE_ADDR=f"203.0.113.{number}").post("/accounts/login/", {"login": "ana", "password": WRONG})
    answer = Client(REMOTE_ADDR=HOME).post("/accounts/login/", {"login": "ana", "password": RIGHT})
    assert is_let_in(answer), "although a cache of this process remembers all of them"


def test_a_name_locked_at_an_address_leaves_the_other_names_there_alone() -> None:
    CustomUser.objects.create_user("ben", password=RIGHT)
    fail(5)
    assert is_let_in(sign_in("ben", RIGHT))


def keep_failures(**which: Any) -> None:
    for number in range(100):
        described = {"username": f"name{number}", "ip_address": f"192.0.2.{number}", **which}
        AccessAttempt.objects.create(**described, failures_since_start=50)


@pytest.mark.parametrize("which", [{"username": "ana"}, {"ip_address": HOME}])
def test_many_failures_slow_down_and_do_not_lock_out(which: dict[str, str]) -> None:
    keep_failures(**which)
    answer = sign_in(password=RIGHT)
    assert (answer.status_code, 0 < int(answer["Retry-After"]) <= 30) == (429, True)
    assert f"Try again in {answer['Retry-After']} second" in answer.content.decode()
    let_time_pass(0.5)
    assert is_let_in(sign_in(password=RIGHT))


def test_who_signed_in_from_there_before_is_not_slowed_down() -> None:
    assert is_let_in(sign_in("Ana", RIGHT))
    assert AccessLog.objects.get().ip_address == HOME
    keep_failures(username="ana")
    assert is_let_in(sign_in(password=RIGHT))
    assert not is_let_in(sign_in(password=RIGHT, address=ELSEWHERE))


def test_a_network_of_ipv6_is_one_address() -> None:
    for number in range(5):
        sign_in(address=f"2001:db8::{number}")
    assert not is_let_in(sign_in(password=RIGHT, address="2001:db8::ffff"))
    assert is_let_in(sign_in(password=RIGHT, address="2001:db8:0:1::1"))


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_many_attempts_at_once_are_counted_before_a_password_is_checked() -> None:
    def attempt(number: int) -> int:
        try:
            return int(sign_in(f"{'a' if number % 2 else 'A'}na").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(12) as threads:
        statuses = sorted(threads.map(attempt, range(24)))
    assert statuses.count(200) < 5
    assert AccessAttempt.objects.get().failures_since_start == 5


def test_the_admin_is_entered_by_the_same_page() -> None:
    answer = Client().get("/admin/")
    assert answer.status_code == 302
    answer = Client().get("/admin/login/?next=/admin/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=%2Fadmin%2F")


def names(patterns: Any) -> dict[str, Callable[..., Any]]:
    found = {}
    for one in patterns:
        found |= names(one.url_patterns) if isinstance(one, URLResolver) else {one.name: one}
    return found


@pytest.mark.parametrize("name", sorted(names(pages_of_allauth).keys() - SERVED - WITH_MAIL - {None}))
def test_unused_pages_of_allauth_are_404(name: str, ana: CustomUser) -> None:
    arguments = {
        "account_confirm_email": {"key": "k"},
        "account_reset_password_from_key": {"uidb36": "1", "key": "k"},
        "openid_connect_login": {"provider_id": "sso"},
        "openid_connect_callback": {"provider_id": "sso"},
    }
    client = Client()
    for _ in range(2):
        answer = client.get(reverse(name, kwargs=arguments.get(name)))
        assert answer.status_code == 404
        assert "This page does not exist" in answer.content.decode()
        assert client.post(reverse(name, kwargs=arguments.get(name))).status_code == 404
        client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")


def test_who_came_from_github_is_led_to_no_page_of_passwords(ana: CustomUser) -> None:
    client = Client()
    client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    assert "Change password" in client.get("/").content.decode()
    assert client.get("/accounts/password/change/").status_code == 200
    ana.set_unusable_password()
    ana.save()
    client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    assert "Change password" not in client.get("/").content.decode()
    assert client.get("/accounts/password/change/", follow=True).status_code == 404


class TestForbidden:
    """403 looks like every other page."""

    def read(self, answer: Any) -> str:
        page: str = answer.content.decode()
        assert answer.status_code == 403
        assert 'class="top"' in page
        return page

    def test_of_the_admin(self, ana: CustomUser) -> None:
        client = Client()
        client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
        assert "Your account does not have permission" in self.read(client.get("/admin/", follow=True))

    def test_a_form_of_another_origin_is_forbidden(self) -> None:
        answer = Client(enforce_csrf_checks=True).post("/accounts/login/", {"login": "ana", "password": RIGHT})
        assert "reload the page" in self.read(answer)


def test_the_first_password_does_not_begin_with_a_dash(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr(secrets, "token_bytes", lambda count: b"\xf8" * count)  # "-Pj4" as text for a URL
    settings.TFORMANCE_VAR = tmp_path
    CustomUser.objects.all().delete()
    call_command("ensure_admin", verbosity=0)
    password = json.loads((tmp_path / "admin.json").read_text())["password"]
    assert password.isalnum()
    assert len(password) == 16
    assert CustomUser.objects.get().check_password(password)
