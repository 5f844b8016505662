"""Messages to channels: what arrives, how it is signed, and what becomes of one that is not taken."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.common.failpoints import MESSAGE_POINTS
from apps.jobs.models import Job
from apps.notifications import webhooks
from apps.notifications.message_fan_out import queue_webhook, sample_message
from apps.notifications.models import Channel, Topic, WebhookMessage
from apps.teams.models import Team
from tests.api.conftest import Cast
from tests.notifications.conftest import make_channel, work
from tests.notifications.receiver import Receiver

pytestmark = pytest.mark.django_db


def send_test(channel: Channel, about: str = "test") -> WebhookMessage:
    queue_webhook(sample_message(channel), channel, about=about)
    work()
    return WebhookMessage.objects.get(channel=channel, about=about)


def wait_for_next_attempt() -> None:
    Job.objects.filter(state="waiting").update(not_before=timezone.now())
    work()


def test_slack_gets_text_and_blocks(cast: Cast, receiver: Receiver) -> None:
    message = send_test(make_channel(cast, receiver))
    [document] = receiver.documents
    assert document["text"] == "tformance: test message"
    assert [block["type"] for block in document["blocks"]] == ["header", "section", "context"]
    assert "“#figures”" in document["blocks"][1]["text"]["text"]
    assert (message.state, message.status, message.error) == ("done", 200, "")
    assert "webhook-signature" not in receiver.headers[0]


def test_a_signed_message_is_verified_as_standard_webhooks_says(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver, "signed")
    message = send_test(channel)
    headers, body = receiver.headers[0], receiver.bodies[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(channel.secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == message.key
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60
    assert json.loads(body)["event"] == "test"
    assert json.loads(body)["team"] == {"slug": "acme", "name": cast.teams["acme"].name}


def test_an_example_of_the_specification_is_signed_as_there() -> None:
    headers = webhooks.signed_headers(
        b'{"test": 2432232314}',
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at_s=1614265330,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_that_is_not_taken_is_sent_again_under_the_same_id(cast: Cast, receiver: Receiver) -> None:
    receiver.answers = [(503, {"Retry-After": "90"}), (429, {})]
    message = send_test(make_channel(cast, receiver, "signed"))
    assert (message.state, message.status, message.error) == ("waiting", 503, "It answered 503: ok.")
    assert message.not_before - timezone.now() > timedelta(seconds=80)
    wait_for_next_attempt()
    wait_for_next_attempt()
    message.refresh_from_db()
    assert (message.state, message.status) == ("done", 200)
    assert {headers["webhook-id"] for headers in receiver.headers} == {message.key}
    assert len(receiver.bodies) == 3


@pytest.mark.parametrize(("status", "words"), [(404, "It answered 404: ok."), (302, "a redirect, which is not")])
def test_a_message_that_is_refused_is_not_sent_again(cast: Cast, receiver: Receiver, status: int, words: str) -> None:
    receiver.answers = [(status, {})]
    message = send_test(make_channel(cast, receiver))
    assert (message.state, message.status) == ("failed", status)
    assert words in message.error


def test_what_waits_is_not_sent_once_its_team_is_not_approved_any_more(cast: Cast, receiver: Receiver) -> None:
    receiver.answers = [(503, {})]
    channel = make_channel(cast, receiver)
    send_test(channel)
    Team.objects.filter(slug="acme").update(is_approved=False)
    wait_for_next_attempt()
    message = WebhookMessage.objects.get()
    assert (message.state, message.reason, len(receiver.bodies)) == ("cancelled", "not_approved", 1)


def test_a_message_that_nobody_takes_fails_in_the_end(cast: Cast, receiver: Receiver) -> None:
    receiver.answers = [(500, {})] * 100
    message = send_test(make_channel(cast, receiver))
    for _ in range(webhooks.MOST_ATTEMPTS):
        wait_for_next_attempt()
    message.refresh_from_db()
    assert (message.state, message.reason, len(receiver.bodies)) == ("failed", "refused", webhooks.MOST_ATTEMPTS)


def test_a_channel_in_a_private_network_fails_in_words(cast: Cast, receiver: Receiver, settings: Any) -> None:
    channel = make_channel(cast, receiver)
    channel.url = "https://169.254.169.254/latest/meta-data/"
    channel.save()
    message = send_test(channel)
    assert (message.state, message.reason) == ("failed", "address_refused")
    assert "private or reserved network" in message.error


def test_an_address_is_stored_encrypted_and_shown_without_its_secret(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver)
    channel.refresh_from_db()
    assert channel.shown_url == f"{receiver.url}/…"
    assert b"secret" not in bytes(channel.encrypted_url)
    assert channel.url.endswith("/services/T1/B2/secret")


def test_a_lost_key_is_said_and_nothing_is_sent(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver)
    Channel.objects.update(encrypted_url=b"nothing that a key decrypts")
    message = send_test(Channel.objects.get(pk=channel.pk))
    assert (message.state, message.reason, receiver.bodies) == ("failed", "secret_lost", [])


def test_markup_in_names_stays_text(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver)
    channel.name = "<!channel> & co"
    send_test(channel)
    assert "&lt;!channel&gt; &amp; co" in receiver.documents[0]["blocks"][1]["text"]["text"]


def test_old_messages_are_deleted_and_young_ones_stay(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver, "slack", Topic.DIGEST)
    send_test(channel, "old")
    send_test(channel, "young")
    WebhookMessage.objects.filter(about="old").update(finished_at=timezone.now() - timedelta(days=31))
    assert WebhookMessage.objects.prune() == 1
    assert [one.about for one in WebhookMessage.objects.all()] == ["young"]


def test_the_points_at_which_a_test_kills_are_in_the_code() -> None:
    assert {"digest.before_commit", "message.after_send"} == MESSAGE_POINTS
