"""The front page says how far its figures can be trusted, and what to do where they cannot."""

import re
from datetime import datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.activity.coverage import cover
from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.metrics.completeness import EVERY_STREAM
from tests.api.conftest import API, SECRETS, Cast
from tests.dashboard.test_pages import read, signed_in
from tests.github.times import at

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(days=400)


@pytest.fixture
def installed(week: Cast) -> Cast:
    """The week of acme, whose one repository the App reaches."""
    Repository.objects.exclude(pk__in=(API, SECRETS)).update(deleted_at=timezone.now())
    app = Installation.objects.create(github_id=7, account=week.teams["acme"].account)
    RepositoryAccess.objects.create(installation=app, repository_id=API, has_access=True)
    return week


def covered(from_at: datetime = LONG_AGO, *, days_ago: float, but_for: str = "") -> None:
    """All streams up to so many days ago, but for one."""
    for stream in EVERY_STREAM:
        if stream != but_for:
            cover(stream, repository_id=API, from_at=from_at, to_at=timezone.now() - timedelta(days=days_ago))


def test_what_is_complete_says_until_when_and_nothing_else(installed: Cast) -> None:
    covered(days_ago=0.1)
    page = read(signed_in(installed.viewer), "/")
    assert '<span class="badge done">complete until <time' in page
    assert "may be missing" not in page
    assert 'class="doubt"' not in page


def test_what_is_old_stands_out_and_says_why(installed: Cast) -> None:
    covered(days_ago=3)
    page = read(signed_in(installed.viewer), "/")
    assert '<span class="badge paused">complete only until <time' in page
    assert "which is more than a day ago" in page


def test_what_is_not_provable_says_what_to_set(installed: Cast) -> None:
    page = read(signed_in(installed.viewer), "/")
    assert "not provably complete" in page
    assert "Cannot be checked without the App&#x27;s private key: set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY" in page
    assert 'class="doubt"' not in page


def test_cards_with_a_hole_say_so_and_lead_to_backfills(installed: Cast) -> None:
    covered(days_ago=20)
    covered(timezone.now() - timedelta(days=10), days_ago=0.1, but_for="commits")
    cover("commits", repository_id=API, from_at=LONG_AGO, to_at=timezone.now())
    page = read(signed_in(installed.viewer), "/?window=30d")
    assert "Something may be missing in this window" in page
    assert '<a href="/backfills/">Backfills</a> show what is read and what waits.' in page
    shown = read(signed_in(installed.viewer), "/teams/acme/figures/prs_merged/?window=30d")
    assert "something may be missing: pull requests of acme/api. The nightly reconciliation" in shown
    assert "may be missing" not in read(signed_in(installed.viewer), "/teams/acme/figures/commits/?window=30d")


def test_each_card_says_what_concerns_it(installed: Cast) -> None:
    for stream in EVERY_STREAM:
        cover(stream, repository_id=API, from_at=at("02-01", "00:00"), to_at=at("02-10", "00:00"))
        read_again = at("03-04", "08:00") if stream == "commits" else at("02-11", "00:00")
        cover(stream, repository_id=API, from_at=read_again, to_at=timezone.now())
    page = read(signed_in(installed.viewer), "/?from=2026-03-02&to=2026-03-09")
    doubts = re.findall(r'<p class="doubt">(.*?) <a href="/backfills/"', page)
    assert doubts == [
        "Something may be missing from 2 Mar, 00:00 to 4 Mar, 08:00.",  # commits
        *["Something may be missing from 10 Feb, 00:00 to 11 Feb, 00:00."]
        * 2,  # work in progress and its age look back
    ]


def test_figures_that_are_not_provable_are_told_from_those_that_are(installed: Cast) -> None:
    covered(days_ago=0.1, but_for="deployments")
    page = read(signed_in(installed.viewer), "/?from=2026-03-02&to=2026-03-09")
    assert "complete in part" in page
    assert page.count("Not complete: not everything was read.") == 2


def test_a_repository_that_was_lost_is_named(installed: Cast) -> None:
    covered(days_ago=0.1)
    other = Repository.objects.create(github_id=5, full_name="acme/lost", owner=installed.teams["acme"].account)
    RepositoryAccess.objects.create(
        installation_id=7, repository=other, has_access=False, lost_at=timezone.now() - timedelta(days=2)
    )
    page = read(signed_in(installed.viewer), "/?window=30d")
    assert '<span class="badge done">complete until' in page
    assert "the App reaches acme/lost no more: what happens there does not count." in page


@pytest.mark.parametrize(("page", "key"), [("activity_repository", API), ("teams_team", None)])
def test_the_admin_shows_it_and_lets_nobody_edit_it(installed: Cast, page: str, key: int | None) -> None:
    covered(days_ago=20)
    covered(timezone.now() - timedelta(days=10), days_ago=3)
    row = key or installed.teams["acme"].pk
    shown = read(signed_in(installed.operator), reverse(f"admin:{page}_change", args=[row]))
    assert "which is more than a day ago" in shown
    assert "something may be missing: everything of acme/api." in shown
    assert 'name="complete_until"' not in shown


def test_a_period_before_that_was_never_read_is_not_compared_with(installed: Cast) -> None:
    client = signed_in(installed.viewer)
    address = "/?from=2026-03-02&to=2026-03-09"
    page = read(client, "/?from=2026-01-08&to=2026-03-09")
    assert "before 0" not in page
    assert "▲" not in page
    assert "the period before was not read" in page
    covered(at("03-02", "00:00"), days_ago=0.1)
    assert "before 0" not in read(client, address)
    covered(at("02-01", "00:00"), days_ago=0.1)
    page = read(client, address)
    assert "before 0" in page
    assert "the period before was not read" not in page
