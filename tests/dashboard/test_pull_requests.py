"""The page of a pull request: its life to scale, the sources of its instants, and the figures it counts in."""

from itertools import pairwise

import pytest
from django.test import Client

from apps.activity.models import Provenance, PullRequest
from apps.metrics.explanation.life import Life, life_of
from apps.metrics.figures import FIGURES
from apps.metrics.models import DerivedPullRequest
from apps.teams.models import TeamAccess
from tests.api.conftest import API, Cast, make_delivery
from tests.dashboard.test_pages import read, signed_in
from tests.metrics.steps import PullRequestSteps, record_steps

pytestmark = pytest.mark.django_db


def address_of(number: int, *, show: str = "", team: str = "") -> str:
    found = PullRequest.objects.get(repository_id=API, number=number)
    return f"/pull-requests/{found.pk}/?show={show or 'overview'}{f'&team={team}' if team else ''}"


def life(number: int) -> Life:
    return life_of(PullRequest.objects.get(repository_id=API, number=number))


def hours(found: Life) -> dict[str, float]:
    return {each.name: each.seconds / 3600 for each in found.stages}


def test_the_stages_of_a_deployed_pull_request_sum_to_its_lead_time(week: Cast) -> None:
    found = life(1)
    assert hours(found) == {"coding": 5, "pickup": 2, "review": 17, "merge": 1, "deploy": 2}
    assert found.total_seconds == found.shipped.lead_seconds == 27 * 3600
    page = read(signed_in(week.viewer), address_of(1))
    assert 'Lead time: <span class="total">27 h 00 m' in page
    assert "Coding: 5 h 00 m; Pickup: 2 h 00 m; Review: 17 h 00 m; Merge: 1 h 00 m; Deploy: 2 h 00 m" in page


def test_stages_touch_each_other_and_have_the_stored_seconds(week: Cast) -> None:
    for row in DerivedPullRequest.objects.all():
        stages = life(row.number).stages
        assert all(before.end_at == after.start_at for before, after in pairwise(stages))
        for each in stages[:4]:
            assert each.seconds == getattr(row, f"{each.name}_seconds")


def test_the_stage_of_an_open_pull_request_lasts_until_now(cast: Cast) -> None:
    record_steps(PullRequestSteps(7, "ana").opened("03-02 10:00").steps)
    found = life(7)
    assert [each.name for each in found.stages if not each.is_over] == ["pickup"]
    page = read(signed_in(cast.viewer), address_of(7))
    assert "Open so far" in page
    assert "so far" in page


def test_its_history_says_who_did_what(week: Cast) -> None:
    page = read(signed_in(week.viewer), address_of(1))
    for words in (
        'Opened as a draft <span class="quiet">by ana',
        'Ready for review <span class="quiet">by ana',
        'Changes requested <span class="quiet">by ben',
        'Approved <span class="quiet">by ben',
        "Deployed to production",
    ):
        assert words in page, words
    assert "first to production" in page
    assert page.count(">Merged<") == 1
    assert ">Closed<" not in page


def test_flags_and_evidence_are_shown(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, address_of(5))
    assert "ai assisted</span>" in page
    assert "reverted</span>" in page
    others = {number: PullRequest.objects.get(repository_id=API, number=number).pk for number in (5, 6)}
    assert f'Reverted by <a href="/pull-requests/{others[6]}/">#6</a>.' in page
    assert "Claude" in page
    page = read(client, address_of(6))
    assert ">revert</span>" in page
    assert f'Reverts <a href="/pull-requests/{others[5]}/">#5</a>.' in page


def test_each_instant_has_its_rule_its_source_and_what_was_rejected(week: Cast) -> None:
    delivery = make_delivery(1)
    Provenance.objects.create(entity="pull_request", key=f"{API}:1", source="delivery", source_key=str(delivery.pk))
    page = read(signed_in(week.viewer), address_of(1, show="sources"))
    for words in (
        "The first time that it was marked ready for review.",
        "It is by a bot.",
        "It is by the author of the pull request.",
        "An earlier one counts.",
        str(delivery.guid),
    ):
        assert words in page, words
    assert f"deliveries/{delivery.pk}/" not in page
    operators = read(signed_in(week.operator), address_of(1, show="sources"))
    assert f"/{delivery.pk}/" in operators


def test_it_says_in_which_figures_it_counts_and_why_others_leave_it_out(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, address_of(1, show="figures"))
    assert "20 h 00 m" in page
    assert FIGURES["cycle_time"].title in page
    page = read(client, address_of(4, show="figures"))
    assert "It is by a bot, and bots are left out." in page
    page = read(client, address_of(2, show="figures"))
    assert "It was merged without a review that counts." in page


def test_figures_are_those_of_the_chosen_team(week: Cast) -> None:
    for slug in ("alpha", "beta"):
        TeamAccess.objects.create(team=week.teams[slug], user=week.viewer)
    client = signed_in(week.viewer)
    assert "Its author was not a member of the team at the time." in read(
        client, address_of(3, show="figures", team="alpha")
    )
    page = read(client, address_of(3, show="figures", team="beta"))
    assert "Its author was not a member" not in page
    assert "team=alpha" in page
    read(client, address_of(3, show="figures", team="umbrella"), status=404)


@pytest.mark.parametrize("show", ["overview", "sources", "figures"])
def test_a_pull_request_of_others_is_not_found(week: Cast, show: str) -> None:
    read(signed_in(week.stranger), address_of(1, show=show), status=404)
    read(signed_in(week.viewer), "/pull-requests/999999/", status=404)
    read(signed_in(week.viewer), address_of(1, show="nothing"), status=404)
    assert Client().get(address_of(1)).status_code == 302


def test_a_pull_request_of_which_only_the_number_is_known_says_so(cast: Cast) -> None:
    found = PullRequest.objects.create(repository_id=API, number=77)
    client = signed_in(cast.viewer)
    assert "Not computed yet" in read(client, f"/pull-requests/{found.pk}/")
    assert "Nothing to explain yet" in read(client, f"/pull-requests/{found.pk}/?show=sources")
    assert "Only the number" in read(client, f"/pull-requests/{found.pk}/?show=figures")


def test_a_title_is_escaped(week: Cast) -> None:
    PullRequest.objects.filter(number=5).update(title="<script>alert(1)</script>")
    assert "<script>alert" not in read(signed_in(week.viewer), address_of(5))
