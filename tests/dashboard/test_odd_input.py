"""What somebody writes into an address or a form is answered in words, however odd it is."""

from typing import Any

import pytest
from django.urls import reverse

from apps.notifications.models import AlertThreshold
from apps.teams.models import Invitation
from tests.api.conftest import Cast, make_delivery
from tests.dashboard.test_pages import signed_in

pytestmark = pytest.mark.django_db
DIGITS = "1" * 5000
WEEK = "from=2026-03-02&to=2026-03-09"
NUL = "null character"
ENTITIES = "/api/v1/teams/acme/figures/cycle_time/entities/"
THRESHOLD = "/teams/acme/notifications/stuck/"


@pytest.mark.parametrize(
    ("who", "address", "status", "words"),
    [
        *(
            ("viewer", f"/teams/acme/changes/?since={day}", 200, "That is not a date.")
            for day in ("9999-12-31", "9999-12-30", "0001-01-01")
        ),
        ("viewer", f"/teams/acme/figures/cycle_time/?{WEEK}&search={DIGITS}", 200, "Cycle time"),
        ("viewer", f"/teams/acme/figures/cycle_time/?{WEEK}&search=%23{DIGITS}", 200, "Cycle time"),
        ("viewer", f"{ENTITIES}?{WEEK}&search={DIGITS}", 200, '"count":0'),
        ("viewer", f"{ENTITIES}?{WEEK}&search={DIGITS}&format=csv", 200, "repository"),
        ("operator", "/people/users/?search=%00", 400, NUL),
        ("operator", "/setup/production/?team=%00", 400, NUL),
        ("operator", "/operations/deliveries/?q=%00", 400, NUL),
        ("operator", "/operations/jobs/?q=%00", 400, NUL),
        ("operator", "/admin/webhooks/delivery/?q=%00", 400, NUL),
        ("viewer", "/now/?reviewer=a%00b", 400, NUL),
        ("viewer", "/now/?a%00b=1", 400, NUL),
        ("viewer", "/api/v1/teams/acme/figures/?label=%00", 400, '"code":"invalid"'),
    ],
)  # fmt: skip
def test_an_odd_address_is_answered(week: Cast, who: str, address: str, status: int, words: str) -> None:
    answer = signed_in(getattr(week, who)).get(address)
    assert answer.status_code == status
    assert words in b"".join(answer).decode()


@pytest.mark.parametrize("name", ["invite-person", "change-access", "goals", "mail", "sign-in"])
def test_a_form_with_a_null_character_is_refused(cast: Cast, name: str) -> None:
    address = {"goals": "/teams/acme/goals/", "mail": "/account/mail/", "sign-in": "/accounts/login/"}.get(name)
    client = signed_in(cast.admin)
    answer = client.post(address or reverse(name, args=["acme"]), {"role": "viewer", "email": "a\0b", "login": "a"})
    assert (answer.status_code, NUL in answer.content.decode()) == (400, True)
    assert not Invitation.objects.exists()


def test_the_receiver_answers_in_its_own_way(cast: Cast) -> None:
    answer = signed_in(cast.admin).post("/webhooks/github/?a=%00", {"a": "\0"})
    assert (answer.status_code, NUL in answer.content.decode()) == (415, False)


@pytest.mark.parametrize("days", ["00019999", "0003650000000", f"0001{DIGITS}", "0", "366", "-1", "1.5", "soon", ""])
def test_a_threshold_that_is_none_is_refused(cast: Cast, days: str) -> None:
    page = post(cast, THRESHOLD, stuck_days=days)
    assert "Enter a number of days from 1 to 365." in page
    assert not AlertThreshold.objects.exists()


@pytest.mark.parametrize("length", [255, 320, 5000])
def test_an_address_that_is_too_long_is_not_invited(cast: Cast, length: int) -> None:
    domain = f"@{'.'.join(['a' * 60] * 4)}.example"
    page = post(
        cast, reverse("invite-person", args=["acme"]), role="viewer", email=f"{'a' * (length - len(domain))}{domain}"
    )
    assert "is not an e-mail address" in page
    assert not Invitation.objects.exists()


def post(cast: Cast, address: str, /, **form: Any) -> str:
    answer = signed_in(cast.admin).post(address, form, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize("page", ["/people/", "/teams/acme/notifications/", "/notifications/", "delivery-content"])
def test_what_shows_a_secret_is_kept_by_no_cache(cast: Cast, page: str) -> None:
    address = page if page.startswith("/") else reverse(page, args=[make_delivery(1).pk])
    answer = signed_in(cast.operator).get(address)
    assert (answer.status_code, "no-store" in answer["Cache-Control"]) == (200, True)
