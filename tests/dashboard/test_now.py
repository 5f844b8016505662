"""The page of what is stuck now, of all teams that a user may see or of one."""

import pytest
from django.test import Client

from apps.activity.models import PullRequest
from apps.teams.models import TeamAccess
from apps.users.models import CustomUser
from tests.api.conftest import API, Cast, make_members
from tests.dashboard.test_pages import read, signed_in
from tests.metrics.steps import PullRequestSteps, profile, record_facts, record_steps
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
@shared_rows
def waiting(cast: Cast) -> Cast:
    """Two reviews that were requested months ago, and one that nobody was asked for."""
    record_steps(
        [
            *PullRequestSteps(1, "ana").opened("03-02 10:00").requested("03-02 11:00", "ben").steps,
            *PullRequestSteps(2, "cy").opened("03-03 10:00").requested("03-03 11:00", "ben").steps,
            *PullRequestSteps(3, "ana").opened("03-04 10:00").steps,
            *PullRequestSteps(4, "dependabot[bot]").opened("03-04 10:00").steps,
        ]
    )
    return cast


def test_it_lists_what_is_stuck_the_latest_first_with_links(waiting: Cast) -> None:
    page = read(signed_in(waiting.viewer), "/now/")
    assert "<b>3</b> Waiting for review" in page
    assert "<b>0</b> Failing checks" in page
    places = [page.index(f">Change {number}</a>") for number in (3, 2, 1)]
    assert places == sorted(places)
    found = PullRequest.objects.get(repository_id=API, number=1)
    assert f'href="/pull-requests/{found.pk}/"' in page
    assert "/acme/api/pull/1" in page
    assert "no reviewer requested" in page
    assert "Change 4" not in page
    assert "Change 4" in read(signed_in(waiting.viewer), "/now/?bots=include")


def test_it_says_who_is_waited_for_and_shows_what_waits_for_one(waiting: Cast) -> None:
    client = signed_in(waiting.viewer)
    page = read(client, "/now/")
    assert '<a class="badge" href="?reviewer=ben">ben 2</a>' in page
    page = read(client, "/now/?reviewer=ben")
    assert "Only what is waiting for ben." in page
    assert "Change 3" not in page
    assert "Failing checks" not in page


def test_one_team_has_what_its_members_opened(waiting: Cast) -> None:
    TeamAccess.objects.create(team=waiting.teams["beta"], user=waiting.viewer)
    client = signed_in(waiting.viewer)
    page = read(client, "/now/")
    assert "<b>3</b> Waiting for review" in page
    assert "by the calendar" in page
    assert "working hours</small>" not in page
    page = read(client, "/now/?team=beta")
    assert "a working day of Beta" in page
    assert "working hours</small>" in page
    assert "<b>3</b> Waiting for review" in page
    make_members(waiting.teams["acme"], "cy")
    page = read(client, "/now/?team=acme")
    assert "<b>1</b> Waiting for review" in page
    assert "Change 2" in page


def test_a_repository_narrows_it_and_an_unknown_one_says_so(waiting: Cast) -> None:
    client = signed_in(waiting.viewer)
    assert "<b>3</b> Waiting for review" in read(client, "/now/?repository=ACME/api")
    page = read(client, "/now/?repository=umbrella/secrets")
    assert "<b>0</b> Waiting for review" in page
    assert "tracks no repository" in page


def test_what_waits_a_short_time_is_not_stuck_yet(waiting: Cast) -> None:
    client = signed_in(waiting.viewer)
    page = read(client, "/now/?show=all")
    assert page.count(">stuck</span>") == 3
    assert ">stuck</span>" not in read(client, "/now/")


def test_what_one_may_not_see_is_not_listed_and_not_found(waiting: Cast) -> None:
    stranger = signed_in(waiting.stranger)
    assert "Change" not in read(stranger, "/now/")
    read(stranger, "/now/?team=acme", status=404)
    read(stranger, "/now/?show=some", status=404)
    assert Client().get("/now/").status_code == 302
    assert "You have no access to a team yet" in read(signed_in(CustomUser.objects.create_user("new")), "/now/")


def test_a_long_list_says_how_many_more_there_are(cast: Cast) -> None:
    record_facts(profile("ana"))
    record_steps(
        [step for number in range(1, 53) for step in PullRequestSteps(number, "ana").opened("03-02 10:00").steps]
    )
    page = read(signed_in(cast.viewer), "/now/")
    assert "<b>52</b> Waiting for review" in page
    assert "and 2 more." in page
