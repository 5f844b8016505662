"""The weekly digest: when it is written, what it says, and that nobody gets it twice."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import DataError, connection
from django.test import Client
from django.utils import timezone

from apps.activity.models import PullRequest
from apps.common.failpoints import EXIT_CODE
from apps.jobs.models import Job
from apps.metrics.digest import last_week, read_digest
from apps.metrics.figures import Window, read_figures
from apps.notifications import digests
from apps.notifications.digests import about_of, message_of, open_digests
from apps.notifications.mail_job import unsubscribe_url
from apps.notifications.models import MailMessage, Notification, Subscription, Topic, WebhookMessage
from apps.teams.models import Team
from apps.users.models import CustomUser
from tests.api.conftest import Cast, PullRequestSteps, record_at_once
from tests.notifications.conftest import make_channel, subscribe, work
from tests.notifications.receiver import MailServer, Receiver
from tformance.local.state import CHECKOUT

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")
WEEK = Window(start=date(2026, 3, 2), end=date(2026, 3, 9), time_zone="UTC")
MONDAY = datetime(2026, 3, 9, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "is_due"),
    [
        (datetime(2026, 3, 9, 6, 59, tzinfo=BERLIN), False),
        (datetime(2026, 3, 9, 7, 0, tzinfo=BERLIN), True),
        (datetime(2026, 3, 11, 23, 0, tzinfo=BERLIN), True),
        (datetime(2026, 3, 12, 7, 0, tzinfo=BERLIN), False),
        (datetime(2026, 3, 8, 12, 0, tzinfo=BERLIN), False),
        (datetime(2026, 3, 30, 7, 0, tzinfo=BERLIN), True),  # the day after the clocks changed
    ],
)
def test_a_digest_is_written_on_monday_morning_where_the_team_is(cast: Cast, at: datetime, is_due: bool) -> None:
    Team.objects.filter(slug="acme").update(time_zone="Europe/Berlin")
    subscribe(cast, "viewer")
    assert open_digests(at) == int(is_due)
    if is_due and at.date() < date(2026, 3, 12):
        assert Job.objects.get(kind=digests.NAME).key == f"{cast.teams['acme'].pk}/2026-03-02"


def test_nothing_is_written_where_nobody_chose_it(cast: Cast) -> None:
    assert open_digests(MONDAY) == 0


def test_who_chooses_it_after_it_was_sent_gets_the_next_one(cast: Cast) -> None:
    subscribe(cast, "viewer")
    Subscription.objects.update(changed_at=MONDAY + timedelta(hours=1))
    assert open_digests(MONDAY + timedelta(hours=2)) == 0
    assert open_digests(MONDAY + timedelta(days=7)) == 1


def test_each_subscriber_gets_one_mail_with_the_figures(week: Cast, mail_server: MailServer) -> None:
    subscribe(week, "viewer")
    subscribe(week, "operator")
    open_digests(MONDAY)
    work()
    assert sorted(letter["To"] for letter in mail_server.letters) == ["operator@example.com", "viewer@example.com"]
    letter = next(letter for letter in mail_server.letters if letter["To"] == "viewer@example.com")
    assert letter["Subject"] == "acme: 2 Mar \N{EN DASH} 8 Mar 2026"
    text, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Pull requests merged:" in text.get_content()
    assert "/teams/acme/figures/cycle_time/?from=2026-03-02&amp;to=2026-03-09" in html.get_content()


def test_a_mail_names_the_link_that_unsubscribes_with_one_click(week: Cast, mail_server: MailServer) -> None:
    subscribe(week, "viewer")
    open_digests(MONDAY)
    work()
    [letter] = mail_server.letters
    url = unsubscribe_url(week.viewer, week.teams["acme"], Topic.DIGEST)
    assert "".join(letter["List-Unsubscribe"].split()) == f"<{url}>"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = url.partition("8000")[2]
    assert path
    answer = Client(enforce_csrf_checks=True).post(path, {"List-Unsubscribe": "One-Click"}, secure=True)
    assert answer.status_code == 200
    assert not Subscription.objects.get().by_mail


def test_however_often_it_is_planned_and_sent_nobody_gets_it_twice(week: Cast, mail_server: MailServer) -> None:
    subscribe(week, "viewer")
    for at in (MONDAY, MONDAY + timedelta(seconds=5), MONDAY + timedelta(days=1)):
        open_digests(at)
        work()
    Job.objects.filter(kind=digests.NAME).delete()  # as if two dispatchers had seen none
    open_digests(MONDAY)
    work()
    assert len(mail_server.letters) == 1
    assert Job.objects.filter(kind=digests.NAME, state="done").count() == 1


def test_two_teams_send_their_own(week: Cast, mail_server: MailServer) -> None:
    subscribe(week, "operator")
    Subscription.choose(week.operator, week.teams["alpha"], Topic.DIGEST, by_note=False, by_mail=True)
    Subscription.objects.update(changed_at=MONDAY - timedelta(days=1))
    assert open_digests(MONDAY) == 2
    work()
    assert sorted(letter["Subject"].partition(":")[0] for letter in mail_server.letters) == ["Alpha", "acme"]


def test_nobody_who_lost_access_or_unsubscribed_gets_it(week: Cast, mail_server: MailServer) -> None:
    subscribe(week, "viewer")
    subscribe(week, "admin")
    week.teams["acme"].accesses.filter(user=week.viewer).delete()
    open_digests(MONDAY)
    Job.objects.filter(kind=MailMessage.KIND).update(not_before=timezone.now() + timedelta(hours=1))
    digests.run(claimed(digests.NAME), 0.0)
    Subscription.objects.filter(user=week.admin).update(by_mail=False)
    work()
    assert mail_server.letters == []
    assert Job.objects.get(kind=MailMessage.KIND).reason == "unsubscribed"


def claimed(kind: str) -> Job:
    """Claim the only job of the kind."""
    now = timezone.now()
    Job.objects.filter(kind=kind).update(state="running", claim_number=1, lease_until=now + timedelta(minutes=1))
    return Job.objects.get(kind=kind)


def test_a_mail_server_that_is_away_is_tried_again(week: Cast, mail_server: MailServer, settings: Any) -> None:
    subscribe(week, "viewer")
    port, settings.EMAIL_PORT = mail_server.port, 1
    open_digests(MONDAY)
    work()
    message = MailMessage.objects.get()
    assert (message.state, message.reason, message.attempts) == ("waiting", "unsent", 1)
    settings.EMAIL_PORT = port
    Job.objects.filter(pk=message.pk).update(not_before=timezone.now())
    work()
    assert len(mail_server.letters) == 1


@pytest.mark.django_db(transaction=True)
def test_a_digest_whose_statements_fail_fails_in_the_end(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any, **__: Any) -> None:
        connection.cursor().execute("SELECT 1 / 0")

    subscribe(cast, "viewer")
    open_digests(MONDAY)
    monkeypatch.setattr(digests, "read_digest", read)
    for _ in range(digests.MOST_ATTEMPTS):
        with pytest.raises(DataError):
            work()
        Job.objects.update(not_before=timezone.now())
    work()
    job = Job.objects.get()
    assert (job.state, job.reason, job.error[:5]) == ("failed", "crashed", "22012")


def test_a_newline_in_a_name_is_a_space_in_the_subject(cast: Cast, mail_server: MailServer) -> None:
    subscribe(cast, "viewer")
    Team.objects.filter(slug="acme").update(name="Ac\r\nme")
    open_digests(MONDAY)
    work()
    [letter] = mail_server.letters
    assert letter["Subject"].startswith("Ac me: ")


def test_a_mail_that_is_none_is_not_tried_again(cast: Cast, mail_server: MailServer) -> None:
    subscribe(cast, "viewer")
    CustomUser.objects.filter(pk=cast.viewer.pk).update(email="viewer\n@example.com")
    open_digests(MONDAY)
    work()
    message = MailMessage.objects.get()
    assert (message.state, message.reason, mail_server.letters) == ("failed", "unsent", [])


def test_a_team_without_data_says_so_in_a_clear_line(cast: Cast, mail_server: MailServer) -> None:
    subscribe(cast, "viewer")
    open_digests(MONDAY)
    work()
    [letter] = mail_server.letters
    text = letter.get_body(("plain",))
    assert text is not None
    assert "Nothing happened in this week or the week before" in text.get_content()


def test_a_chat_gets_the_digest_too(week: Cast, receiver: Receiver) -> None:
    make_channel(week, receiver, "slack", Topic.DIGEST)
    make_channel(week, receiver, "signed", Topic.STUCK)
    open_digests(MONDAY)
    work()
    [document] = receiver.documents
    assert document["text"] == "acme: 2 Mar \N{EN DASH} 8 Mar 2026"
    assert "Pull requests merged: *" in document["blocks"][1]["text"]["text"]
    assert WebhookMessage.objects.get().event == "digest"


def test_what_is_stuck_now_is_in_the_digest_of_the_last_week_alone(
    week: Cast, mail_server: MailServer, receiver: Receiver
) -> None:
    record_at_once(PullRequestSteps(40, "ana").opened("03-02 10:00", head="h40").requested("03-03 10:00", "ben").steps)
    make_channel(week, receiver, "slack", Topic.DIGEST)
    make_channel(week, receiver, "signed", Topic.DIGEST)
    team = week.teams["acme"]
    message = message_of(read_digest(team))
    assert "\nWaiting for review\n- acme/api#" in message.text
    assert ", ben)" in message.text
    digests.queue(message, about="now")
    work()
    of_slack, signed = sorted(receiver.documents, key=lambda document: "event" in document)
    assert "*Waiting for review*" in str(of_slack["blocks"])
    number = PullRequest.objects.get(number=40).pk
    assert f"/pull-requests/{number}/|acme/api#40>" in str(of_slack["blocks"])
    [found] = [one for one in signed["stuck"] if one["waits_for"] == "review"]
    assert 40 in [one["number"] for one in found["pull_requests"]]
    assert message_of(read_digest(team, week=WEEK)).data["stuck"] == []


def test_its_figures_are_those_of_the_api(week: Cast) -> None:
    digest = read_digest(week.teams["acme"], week=WEEK)
    readings = {one.figure: one for one in read_figures(digest.query)}
    assert {line.figure.key: line.now for line in digest.lines} == {
        line.figure.key: readings[line.figure.key] for line in digest.lines
    }
    assert len(digest.lines) == 10


def test_what_changed_notably_is_said_in_a_sentence(week: Cast) -> None:
    before = read_digest(week.teams["acme"], week=WEEK)
    after = read_digest(week.teams["acme"], week=Window(start=WEEK.end, end=date(2026, 3, 16), time_zone="UTC"))
    merged = next(line for line in before.lines if line.figure.key == "prs_merged")
    assert (merged.value, merged.change) == ("5", "+5")
    assert before.notable[0] == "Pull requests merged rose to 5, from 0 (+5)."
    assert any(text.startswith("Pull requests merged fell to 0") for text in after.notable)
    assert "(\N{MINUS SIGN}100%)." in " ".join(after.notable)


def test_the_last_week_is_whole_and_local() -> None:
    team = Team(name="x", time_zone="Pacific/Auckland")
    week = last_week(team, now=datetime(2026, 3, 8, 12, 0, tzinfo=UTC))  # Monday there already
    assert (week.start, week.end) == (date(2026, 3, 2), date(2026, 3, 9))


def test_the_command_prints_it_sends_a_copy_and_sends_it_once(week: Cast, capsys: Any) -> None:
    call_command("send_digest", "acme", "--preview")
    assert "Nothing happened in this week" in capsys.readouterr().out
    call_command("send_digest", "acme", "--to", "ana@example.com")
    assert [letter.to for letter in mail.outbox] == [["ana@example.com"]]
    subscribe(week, "viewer")
    for expected in ("1 message is being sent.", "0 messages are being sent."):
        call_command("send_digest", "acme")
        assert expected in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("send_digest", "nobody")


def die_at(point: str, *, mail_port: int) -> int:
    """Run all jobs that are due in a process of its own, which dies at a point; its exit code."""
    address = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    variables = {
        **os.environ,
        "DATABASE_URL": address,
        "DJANGO_SETTINGS_MODULE": "tformance.settings",
        "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
        "CRASH_AT": point,
    }
    code = (
        "import django; django.setup(); from apps.jobs import runner; "
        "runner.run_jobs(task_id='x', is_redelivered=False, seconds=60)"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, env=variables, check=False).returncode


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_between_mail_and_commit_repeats_that_one_mail_under_its_own_id(
    week: Cast, mail_server: MailServer
) -> None:
    """The digest is written once, whatever dies; a mail is handed over at least once.

    No mail server takes part in our transaction: whoever dies between its answer and our commit leaves it unknown
    whether the mail went out. It is sent again, since a digest that is missing would be noticed by nobody, under the
    same Message-ID, by which mail programs recognise it.
    """
    subscribe(week, "viewer")
    subscribe(week, "admin")
    open_digests(MONDAY)
    assert die_at("digest.before_commit", mail_port=mail_server.port) == EXIT_CODE
    assert (MailMessage.objects.count(), mail_server.letters) == (0, [])
    expire_leases()
    assert die_at("message.after_send", mail_port=mail_server.port) == EXIT_CODE
    assert (MailMessage.objects.count(), len(mail_server.letters)) == (2, 1)
    expire_leases()
    open_digests(MONDAY)
    work()
    ids = [letter["Message-ID"] for letter in mail_server.letters]
    assert (len(ids), len(set(ids))) == (3, 2)
    assert ids.count(ids[0]) == 2
    assert set(MailMessage.objects.values_list("state", flat=True)) == {"done"}


def expire_leases() -> None:
    Job.objects.filter(state="running").update(lease_until=timezone.now() - timedelta(seconds=1))


def test_no_note_is_left_of_a_digest(week: Cast) -> None:
    subscribe(week, "viewer", by_note=True)
    digests.queue(message_of(read_digest(week.teams["acme"], week=WEEK)), about=about_of(week.teams["acme"], WEEK))
    assert not Notification.objects.exists()
