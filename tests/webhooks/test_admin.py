"""What an operator sees and does in the admin."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from apps.webhooks.models import Delivery, DeliveryBody, WebhookSecret
from apps.webhooks.signature import fingerprint_of
from tests.metrics.tales import repository, tell
from tests.webhooks.conftest import GitHub, drain, only
from tests.webhooks.test_claiming import keep

pytestmark = pytest.mark.django_db
DELIVERIES = "admin:webhooks_delivery_changelist"


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(
        get_user_model().objects.create_superuser("operator"), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def test_deliveries_are_listed_and_found(operator: Client) -> None:
    keep(2, repository_id=7)
    keep(1, repository_id=8, event="another_event")
    wanted = Delivery.objects.get(repository_id=8)
    for term in (str(wanted.guid), wanted.key, "8", "another_event"):
        page = operator.get(reverse(DELIVERIES), {"q": term})
        assert page.status_code == 200
        assert [row.pk for row in page.context["cl"].result_list] == [wanted.pk], term
    assert operator.get(reverse(DELIVERIES), {"state__exact": "received"}).status_code == 200


def test_the_list_says_what_came_from_where_and_when(operator: Client) -> None:
    tell(repository(7, full_name="acme/api"))
    keep(repository_id=7, event="pull_request", action="opened", received_at=datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC))
    keep(repository_id=8, state="quarantined", finished_at=datetime(2026, 3, 2, tzinfo=UTC))
    page = operator.get(reverse(DELIVERIES)).content.decode()
    for shown in ("2026-03-02 15:04:05", "pull_request.opened", "acme/api", "quarantined"):
        assert shown in page


def test_what_is_not_so_is_no_alarm(operator: Client) -> None:
    keep()
    page = operator.get(reverse("admin:webhooks_delivery_change", args=[only().pk])).content.decode()
    assert "close_small" not in page, "unfold's red cross"
    assert ">no<" in page


def test_a_body_is_shown_on_demand_and_escaped(github: GitHub, operator: Client) -> None:
    github.deliver({"action": "happened", "title": "<script>alert(1)</script>"})
    url = reverse("admin:webhooks_delivery_change", args=[only().pk])
    assert "alert(1)" not in operator.get(url).content.decode()
    page = operator.get(url, {"body": "1"}).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page


@pytest.mark.parametrize("content", [b"\xff\x00<b>", b"[" * 1000, b""])
def test_an_unusable_body_is_shown_as_it_is(github: GitHub, operator: Client, content: bytes) -> None:
    github.post(content)
    url = reverse("admin:webhooks_delivery_change", args=[only().pk])
    assert operator.get(url, {"body": "1"}).status_code == 200


def test_an_expired_body_is_said_to_be(operator: Client) -> None:
    keep()
    DeliveryBody.objects.all().delete()
    page = operator.get(reverse("admin:webhooks_delivery_change", args=[only().pk]), {"body": "1"})
    assert "The body has expired." in page.content.decode()


def test_an_operator_replays_what_is_selected(github: GitHub, operator: Client) -> None:
    github.deliver()
    drain()
    operator.post(reverse(DELIVERIES), {"action": "replay_selected", "_selected_action": [only().pk]})
    assert (only().state, only().source) == ("received", Delivery.Source.REPLAY)


def test_deliveries_cannot_be_edited(operator: Client) -> None:
    keep()
    url = reverse("admin:webhooks_delivery_change", args=[only().pk])
    assert operator.post(url, {"state": "processed"}).status_code == 403
    assert operator.get(reverse("admin:webhooks_delivery_add")).status_code == 403
    assert operator.post(reverse("admin:webhooks_delivery_delete", args=[only().pk])).status_code == 403


def test_a_secret_goes_in_and_never_comes_out(operator: Client) -> None:
    value = "a-secret-from-the-admin"
    answer = operator.post(
        reverse("admin:webhooks_webhooksecret_add"),
        {"label": "new one", "value": value, "not_after_0": "", "not_after_1": ""},
    )
    assert answer.status_code == 302
    stored = WebhookSecret.objects.get()
    assert stored.slot == fingerprint_of(value).name
    assert GitHub(secret=value).deliver().status_code == 202
    page = operator.get(reverse("admin:webhooks_webhooksecret_change", args=[stored.pk])).content.decode()
    assert value not in page
    assert bytes(stored.encrypted_value).decode() not in page


@pytest.mark.parametrize("value", ["", "weak"])
def test_a_weak_secret_is_refused_in_the_form(operator: Client, value: str) -> None:
    operator.post(reverse("admin:webhooks_webhooksecret_add"), {"label": "x", "value": value})
    assert not WebhookSecret.objects.exists()


def test_refusals_are_listed(operator: Client) -> None:
    GitHub(secret="not-the-secret-of-this-app").deliver()
    assert "bad_signature" in operator.get(reverse("admin:webhooks_refusal_changelist")).content.decode()
