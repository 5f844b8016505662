"""Alerts: each is said once when it begins and once when it is over, to those who chose it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, connection
from django.utils import timezone

from apps.activity.models import PullRequest
from apps.jobs.models import Job
from apps.monitoring import alerts as monitoring
from apps.monitoring.alerts import FINDERS, find_failed_nights, find_silence, find_stuck, settle_all
from apps.notifications.alerts import settle
from apps.notifications.models import Alert, AlertThreshold, Channel, MailMessage, Notification, Subscription, Topic
from apps.teams.models import Team
from apps.webhooks.models import Delivery
from tests.api.conftest import SECRETS, Cast, PullRequestSteps, make_delivery, record_at_once
from tests.notifications.conftest import make_channel, subscribe, work
from tests.notifications.receiver import Receiver

pytestmark = pytest.mark.django_db
FAILED = {"": "The last reconciliation with GitHub failed: no answer."}


def delivered(*hours_ago: float, repository_id: int | None = None) -> datetime:
    """Have deliveries stored that arrived so many hours ago; return now."""
    now = timezone.now()
    for hours in hours_ago:
        extra = {"repository_id": repository_id} if repository_id else {}
        row = make_delivery(Delivery.objects.count() + 1, **extra)
        Delivery.objects.filter(pk=row.pk).update(received_at=now - timedelta(hours=hours))
    return now


def test_an_alert_is_said_when_it_begins_and_when_it_is_over_and_not_in_between(
    cast: Cast, receiver: Receiver, mailoutbox: list[Any]
) -> None:
    subscribe(cast, "viewer", Topic.FAILED_NIGHTS, by_note=True)
    make_channel(cast, receiver, "signed", Topic.FAILED_NIGHTS)
    team = cast.teams["acme"]
    assert [settle(team, Topic.FAILED_NIGHTS, found) for found in (FAILED, FAILED, {}, {})] == [1, 0, 1, 0]
    work()
    subjects = ["acme: reconciliation failed", "acme: reconciliation works again"]
    assert [letter.subject for letter in mailoutbox] == subjects
    assert [document["event"] for document in receiver.documents] == ["alert.opened", "alert.over"]
    assert receiver.documents[0]["opened"] == [{"key": "", "text": FAILED[""]}]
    notes = Notification.objects.filter(user=cast.viewer).order_by("pk").values_list("message", flat=True)
    assert [note.partition(". ")[0] for note in notes] == subjects
    assert settle(team, Topic.FAILED_NIGHTS, FAILED) == 1, "it may begin again"


def test_several_of_a_topic_are_one_message(cast: Cast, mailoutbox: list[Any]) -> None:
    subscribe(cast, "viewer", Topic.STUCK)
    team = cast.teams["acme"]
    settle(team, Topic.STUCK, {"1": "acme/api#1 waits", "2": "acme/api#2 waits"})
    settle(team, Topic.STUCK, {"2": "acme/api#2 waits", "3": "acme/api#3 waits"})
    work()
    assert len(mailoutbox) == 2
    assert "• acme/api#1 waits\n• acme/api#2 waits" in mailoutbox[0].body
    assert "acme/api#3 waits\n\nResolved:\nacme/api#1 waits" in mailoutbox[1].body
    assert set(Alert.objects.filter(over_at=None).values_list("key", flat=True)) == {"2", "3"}


def test_nobody_else_is_notified(cast: Cast, mailoutbox: list[Any]) -> None:
    subscribe(cast, "stranger", Topic.FAILED_NIGHTS, by_note=True)  # without access to the team
    subscribe(cast, "viewer", Topic.SILENCE, by_note=True)
    settle(cast.teams["acme"], Topic.FAILED_NIGHTS, FAILED)
    work()
    assert (mailoutbox, Notification.objects.count(), MailMessage.objects.count()) == ([], 0, 0)


def test_what_nobody_chose_is_not_looked_for(cast: Cast) -> None:
    Team.objects.filter(slug="acme").note_sync(last_sync_status="failed", last_sync_error="no answer")
    team = Team.objects.get(slug="acme")
    assert settle_all(team) == 0
    one = subscribe(cast, "viewer", Topic.FAILED_NIGHTS)
    assert settle_all(team) == 1
    Subscription.objects.filter(pk=one.pk).update(by_mail=False)
    assert settle_all(team) == 0
    assert not Alert.objects.filter(over_at=None).exists()


def test_a_pause_that_is_usual_is_no_alert(cast: Cast) -> None:
    team = cast.teams["acme"]
    assert find_silence(team) == {}, "nothing has ever arrived"
    now = delivered(30, 31, 95, 96)
    assert find_silence(team, now=now) == {}, "64 hours have passed without one before"
    [words] = find_silence(team, now=now + timedelta(hours=100)).values()
    assert "No delivery about acme has arrived since" in words
    assert "the longest pause of the four weeks before was 2 d" in words
    assert find_silence(None, now=now + timedelta(hours=100))


def test_deliveries_of_other_teams_do_not_end_a_silence(cast: Cast) -> None:
    now = delivered(200, 201)
    delivered(0.5, repository_id=SECRETS)
    assert find_silence(cast.teams["acme"], now=now)
    assert find_silence(cast.teams["umbrella"], now=now) == {}
    assert find_silence(None, now=now) == {}


def test_a_day_without_deliveries_is_never_an_alert(cast: Cast) -> None:
    now = delivered(23, 23.5)
    assert find_silence(cast.teams["acme"], now=now) == {}


def test_a_failed_night_is_one_until_the_next_success(cast: Cast) -> None:
    Team.objects.filter(slug="acme").note_sync(last_sync_status="failed", last_sync_error="1 of 2 failed.")
    team = Team.objects.get(slug="acme")
    assert find_failed_nights(team) == {"": "The last reconciliation with GitHub failed: 1 of 2 failed."}
    Team.objects.filter(slug="acme").note_sync(last_sync_status="running")
    assert find_failed_nights(Team.objects.get(slug="acme")) == {}


def test_a_pull_request_is_stuck_after_as_many_days_as_the_team_sets(cast: Cast) -> None:
    record_at_once(PullRequestSteps(40, "ana").opened("03-02 10:00", head="h40").requested("03-03 10:00", "ben").steps)
    team, pull_request = cast.teams["acme"], PullRequest.objects.get(number=40)
    [(key, words)] = find_stuck(team).items()
    assert key == str(pull_request.pk)
    assert words.startswith(f"acme/api#40 “{pull_request.title}” has waited for a review (ben) for ")
    assert words.endswith(f"/pull-requests/{pull_request.pk}/")
    days = (timezone.now() - datetime(2026, 3, 3, tzinfo=UTC)).days
    AlertThreshold.objects.create(team=team, stuck_days=days + 2)
    assert find_stuck(team) == {}
    assert find_stuck(None) == {}


def test_one_job_looks_at_all_teams_every_quarter_of_an_hour(cast: Cast, mailoutbox: list[Any]) -> None:
    subscribe(cast, "viewer", Topic.FAILED_NIGHTS)
    Subscription.choose(cast.operator, None, Topic.SILENCE, by_note=True, by_mail=False)
    Team.objects.filter(slug="acme").note_sync(last_sync_status="failed", last_sync_error="no answer")
    delivered(300, 301)
    monitoring.plan()
    work()
    job = Job.objects.get(kind=monitoring.KIND.name)
    assert (job.state, job.cursor) == ("waiting", "")
    assert timedelta(minutes=14) < job.not_before - timezone.now() <= timedelta(minutes=15)
    assert [letter.subject for letter in mailoutbox] == ["acme: reconciliation failed"]
    assert Notification.objects.get(user=cast.operator).message.startswith("tformance: no deliveries. No delivery")


def test_a_job_whose_time_is_over_goes_on_with_the_next_team(cast: Cast) -> None:
    subscribe(cast, "viewer", Topic.FAILED_NIGHTS)
    Team.objects.filter(slug="acme").note_sync(last_sync_status="failed", last_sync_error="no answer")
    monitoring.plan()
    now = timezone.now()
    Job.objects.update(state="running", claim_number=1, lease_until=now + timedelta(minutes=1))
    monitoring.run(Job.objects.get(), 0.0)
    job = Job.objects.get()
    assert (job.state, job.cursor, Alert.objects.count()) == ("waiting", "instance", 0)
    work()
    assert Alert.objects.count() == 1


def test_a_team_at_which_each_worker_dies_does_not_keep_the_others_waiting(cast: Cast) -> None:
    for team in ("acme", "umbrella"):
        Subscription.choose(cast.operator, cast.teams[team], Topic.FAILED_NIGHTS, by_note=True, by_mail=False)
        Team.objects.filter(slug=team).note_sync(last_sync_status="failed", last_sync_error="no answer")
    monitoring.plan()
    first = min(cast.teams["acme"].pk, cast.teams["umbrella"].pk)
    Job.objects.update(cursor="instance", attempts=monitoring.MOST_ATTEMPTS)
    work()
    assert [alert.team_id != first for alert in Alert.objects.all()] == [True]


@pytest.mark.django_db(transaction=True)
def test_a_team_whose_statements_fail_does_not_keep_the_others_waiting(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sorted((cast.teams["acme"], cast.teams["umbrella"]), key=lambda team: team.pk)
    for team in (first, second):
        Subscription.choose(cast.operator, team, Topic.FAILED_NIGHTS, by_note=True, by_mail=False)

    def find(team: Team | None) -> dict[str, str]:
        if team == first:
            connection.cursor().execute("SELECT 1 / 0")
        return FAILED

    monkeypatch.setitem(FINDERS, Topic.FAILED_NIGHTS, find)
    monitoring.plan()
    for _ in range(monitoring.MOST_ATTEMPTS):
        with pytest.raises(DataError):
            work()
        Job.objects.update(not_before=timezone.now())
    work()
    assert [alert.team for alert in Alert.objects.all()] == [second]
    assert (Job.objects.get().attempts, Job.objects.get().error) == (0, "")


def test_nothing_is_said_of_a_team_that_is_not_approved_any_more(
    cast: Cast, receiver: Receiver, mailoutbox: list[Any]
) -> None:
    subscribe(cast, "operator", Topic.FAILED_NIGHTS, by_note=True)
    make_channel(cast, receiver, "signed", Topic.FAILED_NIGHTS)
    Team.objects.filter(slug="acme").note_sync(last_sync_status="failed", last_sync_error="no answer")
    Team.objects.filter(slug="acme").update(is_approved=False)
    monitoring.plan()
    work()
    assert settle(cast.teams["acme"], Topic.FAILED_NIGHTS, FAILED) == 1, "as if it was approved a moment ago"
    work()
    assert (receiver.bodies, mailoutbox, Notification.objects.count()) == ([], [], 0)
    Job.objects.update(not_before=timezone.now())
    work()
    assert not Alert.objects.filter(over_at=None).exists(), "it ends without a word"
    assert (receiver.bodies, mailoutbox) == ([], [])


def test_a_webhook_of_the_instance_needs_no_team(cast: Cast, receiver: Receiver) -> None:
    make_channel(cast, receiver, "signed", Topic.SILENCE)
    Channel.objects.update(team=None)
    settle(None, Topic.SILENCE, FAILED)
    work()
    assert [document["team"] for document in receiver.documents] == [None]
