"""Small groups: across teams, what few rows of a person or with evidence of AI come to is not shown."""

from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.management import call_command

from apps.metrics.figures.formatting import NO_VALUE
from apps.metrics.figures.suppression import suppressed_parts
from apps.teams.models import TeamAccess, TeamRepository
from tests.api.conftest import Cast
from tests.dashboard.test_pages import read, signed_in
from tests.metrics.steps import PullRequestSteps, person, profile, record_steps, repository

pytestmark = pytest.mark.django_db
WINDOW = "from=2026-03-02&to=2026-03-09"


@pytest.fixture
def work(cast: Cast, settings: Any) -> Cast:
    """Of 17 merged pull requests 9 are ana's, of which 3 with evidence of AI, 6 are ben's and 2 cy's."""
    settings.SMALLEST_GROUP_ACROSS_TEAMS = 5
    record_steps([(repository(), *(profile(login) for login in ("ana", "ben", "cy")))])
    for number in range(1, 18):
        author = "ana" if number <= 9 else "ben" if number <= 15 else "cy"
        branch = f"copilot/{number}" if number <= 3 else f"branch-{number}"
        day = 3 + number % 3
        life = PullRequestSteps(number, author, branch=branch).opened(f"03-0{day} 09:00").merged(f"03-0{day} 10:00")
        record_steps(life.steps)
    return cast


def figure(cast: Cast, query: str = "", *, team: str = "acme", key: str = "prs_merged", by: str = "admin") -> Any:
    answer = cast.client(getattr(cast, by)).get(f"/api/v1/teams/{team}/figures/{key}/?{WINDOW}&{query}")
    assert answer.status_code == 200, answer.json()
    return answer.json()["figure"]


def groups(found: Any) -> dict[str, Any]:
    return {one["name"]: None if one["is_suppressed"] else one["n"] for one in found["groups"]}


def entities(cast: Cast, query: str, *, team: str = "acme", by: str = "admin") -> Any:
    return cast.client(getattr(cast, by)).get(f"/api/v1/teams/{team}/figures/prs_merged/entities/?{WINDOW}&{query}")


def test_small_groups_of_people_are_hidden_and_one_more_that_the_whole_would_show(work: Cast) -> None:
    found = figure(work, "group_by=author&quantiles=0.5", key="cycle_time")
    assert groups(found) == {"ana": 9, "ben": None, "cy": None}
    hidden = found["groups"][-1]
    assert (hidden["n"], hidden["value"], hidden["quantiles"]) == (None, None, {"0.5": None})
    assert (found["n"], found["is_suppressed"]) == (17, False), "the team's own figure stays"


def test_groups_of_evidence_are_hidden_where_the_rest_would_show_them(work: Cast) -> None:
    assert groups(figure(work, "group_by=ai")) == {"assisted": None, "": None}


def test_other_groups_are_as_small_as_they_are(work: Cast) -> None:
    assert groups(figure(work, "group_by=class")) == {"human": 17}
    assert sum(point["n"] for point in figure(work, "granularity=day")["series"]) == 17
    assert entities(work, "").json()["count"] == 17


@pytest.mark.parametrize("part", ["author=cy", "author=ben", "ai=assisted", "ai=none", "ai=any"])
def test_a_filter_shows_no_more_than_the_group_and_its_list_is_refused(work: Cast, part: str) -> None:
    found = figure(work, f"{part}&granularity=week&group_by=repository&compare=previous", key="cycle_time")
    assert (found["value"], found["n"], found["median"]) == (None, None, None)
    assert (found["is_suppressed"], found["reason"], found["excluded"], found["histogram"]) == (
        *(True, "suppressed", None),
        None,
    )
    assert [(point["n"], point["value"]) for point in found["series"]] == [(None, None)]
    assert groups(found) == {"acme/api": None}
    for more in ("", "&format=csv", "&search=Change"):
        refused = entities(work, f"{part}{more}")
        assert refused.status_code == 403
    assert (refused.json()["code"], "Fewer than 5" in refused.json()["detail"]) == ("suppressed", True)


def test_a_large_part_is_shown_without_its_small_buckets(work: Cast) -> None:
    found = figure(work, "author=ana&granularity=day", key="cycle_time")
    assert (found["n"], found["is_suppressed"]) == (9, False)
    assert [point["n"] for point in found["series"]] == [0, None, None, None, 0, 0, 0], "of three each"
    assert [one["n"] for one in found["histogram"] if one["n"] != 0] == [9]
    assert entities(work, "author=ana").json()["count"] == 9


def test_inside_a_team_everything_is_shown(work: Cast) -> None:
    inside: dict[str, Any] = {"team": "beta", "by": "operator"}
    assert groups(figure(work, "group_by=author", **inside)) == {"ana": 3, "cy": 2}
    assert figure(work, "ai=assisted", **inside)["n"] == 1
    assert entities(work, "author=cy", **inside).json()["count"] == 2


def test_in_the_only_team_of_an_account_everything_is_shown(work: Cast) -> None:
    TeamRepository.objects.filter(repository__owner=work.teams["acme"].account_id).delete()
    assert groups(figure(work, "group_by=author")) == {"ana": 9, "ben": 6, "cy": 2}
    assert entities(work, "author=cy").json()["count"] == 2


def test_the_thresholds_are_settings(work: Cast, settings: Any) -> None:
    settings.SMALLEST_GROUP_ACROSS_TEAMS = 1
    assert groups(figure(work, "group_by=author")) == {"ana": 9, "ben": 6, "cy": 2}
    settings.SMALLEST_GROUP = 3
    assert groups(figure(work, "group_by=author", team="beta", by="operator"))["cy"] is None


def test_nobody_is_kept_from_their_own_work(work: Cast) -> None:
    SocialAccount.objects.create(user=work.viewer, provider="github", uid=str(person("cy")))
    assert figure(work, "author=cy", by="viewer")["n"] == 2
    assert entities(work, "author=cy", by="viewer").json()["count"] == 2
    assert figure(work, "author=cy")["n"] is None


def test_the_command_says_that_there_are_too_few(work: Cast, capsys: Any) -> None:
    call_command("figures", "acme", "--from", "2026-03-02", "--to", "2026-03-09", "--ai", "assisted")
    shown = capsys.readouterr().out
    assert any(line.split()[-5:] == [NO_VALUE, "few", *[NO_VALUE] * 3] for line in shown.splitlines())
    assert "few: Fewer than 5 of one person or kind of evidence" in shown


def test_the_page_says_that_there_are_too_few(work: Cast) -> None:
    client = signed_in(work.admin)
    page = read(client, f"/teams/acme/?section=ai&{WINDOW}")
    assert "too few" in page
    assert "Fewer than 5 of one person or kind of evidence" in page
    refused = client.get(f"/teams/acme/figures/prs_merged/?{WINDOW}&author=cy").content.decode()
    assert "Fewer than 5 of one person" in refused
    assert "Change 17" not in refused
    TeamAccess.objects.filter(user=work.admin).update(role="lead")
    assert "too few to show" in read(client, f"/teams/acme/?{WINDOW}&author=cy")


@pytest.mark.parametrize(
    ("counts", "hidden"),
    [
        ({}, ""),
        ({"a": 5, "b": 7}, ""),
        ({"a": 9, "b": 4}, "ab"),
        ({"a": 9, "b": 4, "c": 6}, "bc"),
        ({"a": 9, "b": 1, "c": 1, "d": 8}, "bcd"),
        ({"a": 9, "b": 3, "c": 3, "d": 8}, "bc"),
        ({"a": 3}, "a"),
        ({"a": 9, "b": 0}, ""),
    ],
)
def test_so_many_parts_are_hidden_that_the_whole_shows_none(counts: dict[str, int], hidden: str) -> None:
    assert "".join(sorted(suppressed_parts(counts, least=5))) == hidden
