"""Completeness on the board, and the notes to users."""

import re
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.activity.coverage import cover
from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.integrations.streams import STREAM_NAMES
from apps.metrics.figures import FIGURES
from apps.notifications.models import Notification
from apps.notifications.tasks import send_notification
from tests.api.conftest import API, SECRETS, Cast
from tests.dashboard.test_pages import read, signed_in
from tests.dashboard.test_team import every_section
from tests.github.translation import at
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db
OF_DEPLOYMENTS = [key for key, figure in FIGURES.items() if "deployments" in figure.streams]
DOUBT = re.compile(
    r'<article class="card" id="(\w+)">(?:(?!</article>).)*?<p class="doubt">(.*?) <a href="/operations/jobs/"'
)
LONG_AGO = timezone.now() - timedelta(days=400)


@pytest.fixture
@shared_rows
def installed(week: Cast) -> Cast:
    """The week of acme, whose one repository the App reaches."""
    Repository.objects.exclude(pk__in=(API, SECRETS)).update(deleted_at=timezone.now())
    app = Installation.objects.create(github_id=7, account=week.teams["acme"].account)
    RepositoryAccess.objects.create(installation=app, repository_id=API, has_access=True)
    return week


def covered(from_at: datetime = LONG_AGO, *, days_ago: float, but_for: str = "") -> None:
    """All streams up to so many days ago, but for one."""
    for stream in STREAM_NAMES:
        if stream != but_for:
            cover(stream, repository_id=API, from_at=from_at, to_at=timezone.now() - timedelta(days=days_ago))


def test_a_complete_board_says_until_when_without_warnings(installed: Cast) -> None:
    covered(days_ago=0.1)
    page = read(signed_in(installed.viewer), "/")
    assert '<span class="badge done">complete until <time' in page
    assert "may be missing" not in page
    assert 'class="doubt"' not in page


def test_an_outdated_board_stands_out_and_says_why(installed: Cast) -> None:
    covered(days_ago=3)
    page = read(signed_in(installed.viewer), "/")
    assert '<a class="badge paused" href="/operations/jobs/" title="Complete only until ' in page
    assert "later data has not been verified yet" in page


def test_an_unverified_board_says_what_to_configure(installed: Cast) -> None:
    page = read(signed_in(installed.viewer), "/")
    assert ">Unverified \N{MIDDLE DOT} connect the App&#x27;s key</a>" in page
    assert 'title="Live from webhooks only. Connect the App&#x27;s private key (GITHUB_APP_ID and' in page
    assert 'class="doubt"' not in page


def test_a_board_and_its_lists_name_gaps_and_link_to_jobs(installed: Cast) -> None:
    covered(days_ago=20)
    covered(timezone.now() - timedelta(days=10), days_ago=0.1, but_for="commits")
    cover("commits", repository_id=API, from_at=LONG_AGO, to_at=timezone.now())
    page = read(signed_in(installed.viewer), "/")
    assert "Data may be missing in this period" in page
    assert 'See <a href="/operations/jobs/">Jobs</a> for the progress.' in page
    shown = read(signed_in(installed.viewer), "/teams/acme/figures/prs_merged/")
    assert "UTC: pull requests of acme/api. The nightly reconciliation" in shown
    assert "may be missing" not in read(signed_in(installed.viewer), "/teams/acme/figures/commits/")


def test_each_card_warns_of_the_gaps_of_its_own_streams(installed: Cast) -> None:
    for stream in STREAM_NAMES:
        cover(stream, repository_id=API, from_at=at("02-01", "00:00"), to_at=at("02-10", "00:00"))
        read_again = at("03-04", "08:00") if stream == "commits" else at("02-11", "00:00")
        cover(stream, repository_id=API, from_at=read_again, to_at=timezone.now())
    doubts = {
        key: doubt
        for page in every_section(signed_in(installed.viewer), "from=2026-03-02&to=2026-03-09").values()
        for key, doubt in DOUBT.findall(page)
    }
    of_commits = [key for key, figure in FIGURES.items() if "commits" in figure.streams]
    looking_back = [key for key, figure in FIGURES.items() if figure.looks_back]
    assert doubts == {
        **dict.fromkeys(of_commits, "Data may be missing from 2 Mar, 00:00 to 4 Mar, 08:00."),
        **dict.fromkeys(looking_back, "Data may be missing from 10 Feb, 00:00 to 11 Feb, 00:00."),
    }
    assert (len(of_commits), len(looking_back)) == (8, 2)


def test_unverified_figures_are_marked_when_others_are_verified(installed: Cast) -> None:
    covered(days_ago=0.1, but_for="deployments")
    pages = every_section(signed_in(installed.viewer), "from=2026-03-02&to=2026-03-09")
    assert "Partly verified" in pages["overview"]
    doubts = {key for page in pages.values() for key, doubt in DOUBT.findall(page) if doubt.startswith("Unverified")}
    assert doubts == set(OF_DEPLOYMENTS)


def test_a_board_names_a_repository_that_the_app_lost(installed: Cast) -> None:
    covered(days_ago=0.1)
    other = Repository.objects.create(github_id=5, full_name="acme/lost", owner=installed.teams["acme"].account)
    RepositoryAccess.objects.create(
        installation_id=7, repository=other, has_access=False, lost_at=timezone.now() - timedelta(days=2)
    )
    page = read(signed_in(installed.viewer), "/")
    assert '<span class="badge done">complete until' in page
    assert "The App lost access to acme/lost at" in page


@pytest.mark.parametrize(("page", "key"), [("activity_repository", API), ("teams_team", None)])
def test_the_admin_shows_completeness_as_read_only(installed: Cast, page: str, key: int | None) -> None:
    covered(days_ago=20)
    covered(timezone.now() - timedelta(days=10), days_ago=3)
    row = key or installed.teams["acme"].pk
    shown = read(signed_in(installed.operator), reverse(f"admin:{page}_change", args=[row]))
    assert "later data has not been verified yet" in shown
    assert "UTC: all streams of acme/api." in shown
    assert 'name="complete_until"' not in shown


def test_a_previous_period_that_was_not_loaded_is_not_compared(installed: Cast) -> None:
    client = signed_in(installed.viewer)
    address = "/?from=2026-03-02&to=2026-03-09"
    page = read(client, "/?from=2026-01-08&to=2026-03-09")
    assert "in the previous" not in page
    assert "▲" not in page
    assert "previous period not loaded" in page
    covered(at("03-02", "00:00"), days_ago=0.1)
    assert "in the previous" not in read(client, address)
    covered(at("02-01", "00:00"), days_ago=0.1)
    page = read(client, address)
    assert "0 in the previous" in page
    assert "previous period not loaded" not in page


READING = "/notes/read/"


def test_the_header_counts_unread_notes(cast: Cast) -> None:
    client = signed_in(cast.viewer)
    assert "unread:" not in read(client, "/")
    for message in ("first", "second"):
        send_notification(cast.viewer.pk, message)
    send_notification(cast.admin.pk, "for somebody else")
    assert "Notes, unread:</span><b>2</b>" in read(client, "/")


def test_notes_are_listed_the_latest_first_and_marked_one_by_one(cast: Cast) -> None:
    client = signed_in(cast.viewer)
    older, newer = (send_notification(cast.viewer.pk, message) for message in ("older <b>", "newer"))
    page = read(client, "/notes/")
    assert page.index("newer") < page.index("older &lt;b&gt;")
    assert page.count('<li class="unread">') == 2

    answer = client.post(READING, {"note": str(older)})
    assert (answer.status_code, answer["Location"]) == (302, "/notes/")
    assert read(client, "/notes/").count('<li class="unread">') == 1
    assert [note.pk for note in Notification.objects.unread()] == [newer]


def test_all_are_marked_at_once(cast: Cast) -> None:
    for number in range(3):
        send_notification(cast.viewer.pk, f"note {number}")
    client = signed_in(cast.viewer)
    assert "Mark all as read" in read(client, "/notes/")
    client.post(READING)
    assert "Mark all as read" not in read(client, "/notes/")
    assert not Notification.objects.unread().exists()


def test_users_cannot_read_or_mark_notes_of_others(cast: Cast) -> None:
    note = send_notification(cast.viewer.pk, "for the viewer alone")
    operator = signed_in(cast.operator)
    assert "for the viewer alone" not in read(operator, "/notes/")
    for named in ({"note": str(note)}, {"note": "1 OR 1=1"}, {"note": "9" * 30}, {}):
        assert operator.post(READING, named).status_code == 302
    assert Notification.objects.unread().count() == 1


def test_marking_takes_a_person_and_a_token_of_the_page(cast: Cast) -> None:
    assert Client().post(READING).headers["Location"].startswith("/accounts/login/")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.viewer, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(READING).status_code == 403
    assert strict.get(READING).status_code == 405


def test_many_notes_come_in_pages(cast: Cast) -> None:
    Notification.objects.bulk_create(Notification(user=cast.viewer, message=f"note {n}") for n in range(51))
    client = signed_in(cast.viewer)
    assert "Page 1 of 2" in read(client, "/notes/")
    assert read(client, "/notes/?page=2").count('<li class="unread">') == 1
