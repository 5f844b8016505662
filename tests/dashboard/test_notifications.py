"""Pages of the digest and of notifications: who sees and changes what, and what they say."""

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.jobs import runner
from apps.notifications.mail_job import subscription_of, unsubscribe_url
from apps.notifications.models import Alert, AlertThreshold, Channel, Subscription, Topic, WebhookMessage
from apps.teams.models import Team
from tests.api.conftest import Cast, PullRequestSteps, record_at_once
from tests.dashboard.test_pages import read, signed_in
from tests.notifications.conftest import make_channel, receiver, subscribe
from tests.notifications.receiver import Receiver

__all__ = ["receiver"]
pytestmark = pytest.mark.django_db
DIGEST, PAGE = "/teams/acme/digest/", "/teams/acme/notifications/"
SUBSCRIPTION, ADD = f"{DIGEST}subscription/", f"{PAGE}channels/"
SLACK = {"name": "#figures", "kind": "slack", "url": "https://hooks.slack.com/services/T1/B2/secret"}


def post(user: Any, path: str, /, **values: Any) -> Any:
    return signed_in(user).post(path, values, follow=True)


@pytest.mark.parametrize("url", [DIGEST, f"{DIGEST}stuck/", PAGE, "/notifications/"])
def test_the_pages_ask_to_sign_in_and_cost_few_statements(week: Cast, url: str) -> None:
    assert Client().get(url).status_code == 302
    client = signed_in(week.operator)
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
    assert answer.status_code == 200
    assert len(queries) <= 12, "\n".join(str(one["sql"])[:160] for one in queries.captured_queries)
    assert len(answer.content) < 150_000


@pytest.mark.parametrize("url", [DIGEST, PAGE])
def test_a_foreign_team_is_unknown(cast: Cast, url: str) -> None:
    assert signed_in(cast.stranger).get(url).status_code == 404
    assert signed_in(cast.stranger).get(f"{DIGEST}text/").status_code == 404
    assert post(cast.stranger, url if url == PAGE else SUBSCRIPTION).status_code == 404


def test_the_preview_says_what_the_mail_says(week: Cast) -> None:
    page = read(signed_in(week.viewer), DIGEST)
    assert "Nothing happened in this week or the week before" in page  # the sample is of March
    assert "?week=2026-03-02" not in page
    assert "Plain-text version" in page
    text = read(signed_in(week.viewer), f"{DIGEST}text/?week=2026-03-02")
    assert "Pull requests merged: 5 (+5, from 0)" in text
    assert "Live from webhooks only." in text
    assert "Sent every Monday at 07:00 (UTC)" in page
    assert "Your account has no email address" in page


@pytest.mark.parametrize("day", ["2026-03-02", "2026-03-08"])
def test_an_earlier_week_is_shown_by_any_of_its_days(week: Cast, day: str) -> None:
    page = read(signed_in(week.viewer), f"{DIGEST}?week={day}")
    assert "2 Mar \N{EN DASH} 8 Mar 2026" in page
    for shown in (
        "Pull requests merged",
        "Pull requests merged rose to 5, from 0 (+5).",
        "?week=2026-02-23",
        "?week=2026-03-09",
    ):
        assert shown in page
    assert "/teams/acme/figures/cycle_time/?from=2026-03-02&amp;to=2026-03-09" in page


@pytest.mark.parametrize("day", ["nonsense", "0001-01-01", "2026-13-01"])
def test_a_week_that_is_none_is_unknown(week: Cast, day: str) -> None:
    assert signed_in(week.viewer).get(f"{DIGEST}?week={day}").status_code == 404


def test_a_week_to_come_is_the_last_one(week: Cast) -> None:
    assert "Later" not in read(signed_in(week.viewer), f"{DIGEST}?week=2999-01-01")


def test_what_is_stuck_is_asked_for_by_the_page_and_is_a_page_too(week: Cast) -> None:
    assert 'hx-get="/teams/acme/digest/stuck/"' in read(signed_in(week.viewer), DIGEST)
    assert "stuck/" not in read(signed_in(week.viewer), f"{DIGEST}?week=2026-03-02"), "that is of now"
    assert "Nothing is stuck." in read(signed_in(week.viewer), f"{DIGEST}stuck/")
    record_at_once(PullRequestSteps(40, "ana").opened("03-02 10:00", head="h40").requested("03-03 10:00", "ben").steps)
    page = read(signed_in(week.viewer), f"{DIGEST}stuck/")
    assert "Waiting for review" in page
    assert ">acme/api#40</a>" in page
    assert signed_in(week.stranger).get(f"{DIGEST}stuck/").status_code == 404


def test_somebody_subscribes_on_the_preview_and_unsubscribes_there(cast: Cast) -> None:
    assert "You get the weekly digest of acme." in post(cast.viewer, SUBSCRIPTION, subscribe="yes").content.decode()
    assert Subscription.objects.get(user=cast.viewer, topic=Topic.DIGEST).by_mail
    assert "subscribed" in read(signed_in(cast.viewer), DIGEST)
    post(cast.viewer, SUBSCRIPTION, subscribe="no")
    assert not Subscription.objects.get(user=cast.viewer, topic=Topic.DIGEST).by_mail


def test_the_link_of_a_mail_asks_first_and_needs_no_sign_in(cast: Cast) -> None:
    one = subscribe(cast, "viewer")
    path = unsubscribe_url(cast.viewer, cast.teams["acme"], Topic.DIGEST).removeprefix(django_settings.PUBLIC_URL)
    page = read(Client(), path)
    assert "viewer@example.com will no longer receive “Weekly digest” emails about acme." in page
    one.refresh_from_db()
    assert one.by_mail
    answer = Client(enforce_csrf_checks=True).post(path, {"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, "Unsubscribed" in answer.content.decode()) == (200, True)
    one.refresh_from_db()
    assert not one.by_mail
    assert Client().post(path).status_code == 200, "twice is as good as once"


@pytest.mark.parametrize("token", ["nonsense", "WzEsMSwiZGlnZXN0Il0:1abcde:signature"])
def test_a_link_that_is_not_ours_does_nothing(cast: Cast, token: str) -> None:
    assert subscription_of(token) is None
    assert Client().post(f"/unsubscribe/{token}/").status_code == 404


def test_somebody_chooses_topics(cast: Cast) -> None:
    answer = post(cast.viewer, PAGE, note=["stuck", "digest"], mail=["digest", "stuck"])
    assert "Saved." in answer.content.decode()
    chosen = {one.topic: (one.by_note, one.by_mail) for one in Subscription.objects.filter(user=cast.viewer)}
    assert chosen == {
        "digest": (False, True),
        "stuck": (True, True),
        "silence": (False, False),
        "failed_nights": (False, False),
    }
    page = read(signed_in(cast.viewer), PAGE)
    assert 'name="mail" value="digest" aria-label="Weekly digest: by email" checked' in page


def test_a_choice_that_changes_nothing_keeps_its_time(cast: Cast) -> None:
    one = subscribe(cast, "viewer")
    post(cast.viewer, PAGE, mail=["digest"])
    assert Subscription.objects.get(pk=one.pk).changed_at.isoformat() == "2026-01-01T00:00:00+00:00"


def test_a_viewer_neither_sees_nor_changes_webhooks(cast: Cast) -> None:
    page = read(signed_in(cast.viewer), PAGE)
    assert "Add a webhook" not in page
    for url in (ADD, f"{PAGE}stuck/"):
        assert post(cast.viewer, url, **SLACK).status_code == 403
    assert post(cast.stranger, ADD, **SLACK).status_code == 404
    assert post(cast.admin, "/notifications/channels/", **SLACK).status_code == 404


def test_an_admin_adds_a_webhook_whose_address_is_not_shown_again(cast: Cast) -> None:
    page = post(cast.admin, ADD, **SLACK, topics=["digest", "stuck"]).content.decode()
    assert "#figures was added." in page
    assert "https://hooks.slack.com/…" in page
    assert "T1/B2" not in page
    assert Channel.objects.get().topics == ["digest", "stuck"]
    assert "nothing sent yet" in page


def test_a_secret_is_shown_once(cast: Cast) -> None:
    page = post(cast.admin, ADD, **{**SLACK, "kind": "signed"}).content.decode()
    assert Channel.objects.get().secret in page
    assert Channel.objects.get().secret not in read(signed_in(cast.admin), PAGE)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"url": "http://hooks.slack.com/x"}, "must begin with https://"),
        ({"url": "nonsense"}, "This is not an address."),
        ({"name": ""}, "Name: This field is required."),
        ({"kind": "pigeon"}, "Kind: Select a valid choice."),
    ],
)
def test_a_webhook_that_cannot_be_used_is_refused_in_words(cast: Cast, values: dict[str, str], words: str) -> None:
    assert words in post(cast.admin, ADD, **{**SLACK, **values}).content.decode()
    assert not Channel.objects.exists()


def test_a_test_is_sent_and_its_result_shown(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver)
    change = f"/notifications/channels/{channel.pk}/"
    assert "sending…" in post(cast.admin, change, change="test").content.decode()
    receiver.answers = [(404, {})]
    runner.run_jobs(task_id="test", is_redelivered=False)
    page = read(signed_in(cast.admin), PAGE)
    assert "It answered 404: ok." in page
    post(cast.admin, change, change="test")
    runner.run_jobs(task_id="test", is_redelivered=False)
    assert "answered 200" in read(signed_in(cast.admin), PAGE)
    assert WebhookMessage.objects.count() == 2


def test_one_test_at_a_time_is_sent(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver)
    change = f"/notifications/channels/{channel.pk}/"
    receiver.answers = [(503, {})]
    post(cast.admin, change, change="test")
    refused = "The last test to #figures is not finished. Wait for its result."
    assert refused in post(cast.admin, change, change="test").content.decode()
    runner.run_jobs(task_id="test", is_redelivered=False)
    assert refused in post(cast.admin, change, change="test").content.decode(), "it is tried again"
    with pytest.raises(CommandError, match="not finished"):
        call_command("notify", "acme", "--test", str(channel.pk))
    assert (WebhookMessage.objects.count(), len(receiver.bodies)) == (1, 1)


def test_a_webhook_is_changed_and_removed_by_those_who_lead_its_team(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver)
    change = f"/notifications/channels/{channel.pk}/"
    assert post(cast.viewer, change, change="remove").status_code == 403
    assert post(cast.stranger, change, change="remove").status_code == 404
    assert post(cast.admin, change, change="explode").status_code == 404
    post(cast.admin, change, change="topics", topics=["silence", "nonsense"])
    assert Channel.objects.get().topics == ["silence"]
    post(cast.admin, change, change="remove")
    assert not Channel.objects.exists()


def test_an_admin_sets_when_a_pull_request_is_stuck(cast: Cast) -> None:
    assert "counts as stuck after 3 days" in post(cast.admin, f"{PAGE}stuck/", stuck_days="3").content.decode()
    assert AlertThreshold.objects.get(team=cast.teams["acme"]).stuck_days == 3
    assert "from 1 to 365" in post(cast.admin, f"{PAGE}stuck/", stuck_days="0").content.decode()


def test_what_is_not_over_is_listed(cast: Cast) -> None:
    Alert.objects.create(team=cast.teams["acme"], topic="silence", words="No delivery has arrived since Monday.")
    Alert.objects.create(team=cast.teams["umbrella"], topic="silence", words="of others")
    page = read(signed_in(cast.viewer), PAGE)
    assert "No delivery has arrived since Monday." in page
    assert "of others" not in page


def test_operators_choose_alerts_of_the_instance_and_others_see_their_teams(cast: Cast) -> None:
    page = read(signed_in(cast.viewer), "/notifications/")
    assert "What you are notified of" not in page
    assert PAGE in page
    assert post(cast.viewer, "/notifications/", note=["silence"]).status_code == 403
    post(cast.operator, "/notifications/", note=["silence"], mail=["failed_nights", "digest"])
    chosen = Subscription.objects.filter(user=cast.operator, team=None)
    assert {(one.topic, one.by_note, one.by_mail) for one in chosen} == {
        ("silence", True, False),
        ("failed_nights", False, True),
    }


def test_the_commands_do_what_the_page_does(cast: Cast, receiver: Receiver, capsys: Any) -> None:
    call_command("notify", "acme", "--user", "viewer", "--topic", "digest", "--mail")
    call_command("notify", "acme", "--add", "slack", f"{receiver.url}/x", "--name", "chat", "--topic", "digest")
    channel = Channel.objects.get()
    call_command("notify", "acme", "--stuck-days", "5")
    call_command("notify", "acme", "--test", str(channel.pk))
    shown = capsys.readouterr().out
    assert "viewer: digest by mail" in shown
    assert f"webhook {channel.pk}: chat (slack, {receiver.url}/…): digest" in shown
    assert WebhookMessage.objects.count() == 1
    call_command("notify", "acme", "--remove", str(channel.pk))
    call_command("notify", "acme", "--user", "viewer", "--topic", "digest", "--off")
    assert not Channel.objects.exists()
    assert not Subscription.objects.get().by_mail
    with pytest.raises(CommandError, match="must begin with https"):
        call_command("notify", "acme", "--add", "slack", "http://elsewhere/x", "--name", "chat")
    with pytest.raises(CommandError, match="Say how"):
        call_command("notify", "acme", "--user", "viewer", "--topic", "digest")


def test_no_mail_server_is_said(cast: Cast, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    for url in (DIGEST, PAGE):
        assert "Email is not set up on this instance." in read(signed_in(cast.viewer), url)
    assert mail.outbox == []


def test_a_team_of_another_account_gets_no_webhook_of_ours(cast: Cast, receiver: Receiver) -> None:
    channel = make_channel(cast, receiver)
    Channel.objects.filter(pk=channel.pk).update(team=Team.objects.get(slug="umbrella"))
    assert "#figures" not in read(signed_in(cast.admin), PAGE)
