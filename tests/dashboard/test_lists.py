"""The list behind a number."""

import csv
import io
import re

import pytest
from django.urls import NoReverseMatch, reverse

from apps.activity.models import PullRequest
from tests.api.conftest import Cast
from tests.dashboard.test_pages import read, signed_in

pytestmark = pytest.mark.django_db
WEEK = "from=2026-03-02&to=2026-03-09"
LIST = f"/teams/acme/figures/cycle_time/?{WEEK}"
NUMBERS = re.compile(r'<th scope="row"><a href="[^"]*">acme/api#(\d+)</a>')


def numbers(page: str) -> list[int]:
    return [int(number) for number in NUMBERS.findall(page)]


def test_a_list_has_what_the_figure_counts_with_links_to_github(week: Cast) -> None:
    page = read(signed_in(week.viewer), LIST)
    assert numbers(page) == [6, 5, 3, 2, 1]
    assert "/acme/api/pull/5" in page
    assert "Median <strong>7 h 00 m</strong>" in page


def test_a_pull_request_links_to_its_own_page_once_there_is_one(week: Cast) -> None:
    row = PullRequest.objects.get(number=5)
    try:
        own = reverse("pull-request", args=[row.pk])
    except NoReverseMatch:
        own = "/acme/api/pull/5"
    assert own in read(signed_in(week.viewer), LIST)


def test_a_list_links_to_what_is_not_counted(week: Cast) -> None:
    client = signed_in(week.viewer)
    link = f"/teams/acme/figures/prs_merged/?{WEEK}"
    assert ">1 by bots</a>" in read(client, link)
    page = read(client, f"{link}&excluded=bot")
    assert "<strong>1 by bots</strong>" in page
    assert "dependabot[bot]" in page
    assert page.count("<tr>") == 1 + 1
    assert "Reasons: bot, agent, human, not_a_member." in read(client, f"{link}&excluded=mood", status=400)


def test_every_heading_sorts_and_turns_around(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, LIST)
    assert 'aria-sort="descending"' in page
    links = re.findall(r'<a class="sort" href="([^"]*)">', page)
    assert len(links) == 4
    orders = [numbers(read(client, link.replace("&amp;", "&"))) for link in links]
    assert orders[0] == [1, 2, 3, 5, 6]
    assert orders[2] == [1, 2, 3, 5, 6]
    assert orders[3] == [3, 1, 5, 2, 6]
    for link in links:
        again = re.findall(r'<a class="sort" href="([^"]*)">', read(client, link.replace("&amp;", "&")))
        assert read(client, again[links.index(link)].replace("&amp;", "&"))


@pytest.mark.parametrize(
    ("text", "found"), [("Login", [5]), ("5", [5]), ("%235", [5]), ("nothing", []), ("9" * 30, [])]
)
def test_a_list_can_be_searched_by_title_and_number(week: Cast, text: str, found: list[int]) -> None:
    PullRequest.objects.all().update(title="Something else")
    PullRequest.objects.filter(number=5).update(title="Repair the login form")
    client = signed_in(week.viewer)
    page = read(client, f"{LIST}&search={text}")
    assert numbers(page) == found
    assert ("Show the whole list" in page) == (not found)


def test_the_csv_is_of_the_same_query(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, f"{LIST}&bucket=2026-03-05..2026-03-06&section=flow&ordering=value&least=3600")
    [link] = re.findall(r'href="(/api/v1/[^"]*format=csv)"', page)
    answer = client.get(link.replace("&amp;", "&"))
    rows = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))  # type: ignore[attr-defined]
    assert [int(row["number"]) for row in rows] == numbers(page) != []


def test_filters_that_apply_can_be_removed_one_by_one(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, f"{LIST}&bucket=2026-03-05..2026-03-06&least=3600&below=90000")
    for words in ("5 Mar", "Cycle time: 1 h to 1.04167 d"):
        [link] = re.findall(rf'<a class="badge" href="([^"]*)" title="[^"]*">{re.escape(words)} ', page)
        assert len(numbers(read(client, link.replace("&amp;", "&")))) >= len(numbers(page))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("search=%00", "null character"),
        ("least=much", "is not a number"),
        ("below=nan", "is not a number"),
        ("ordering=title", "-at, at"),
        ("bucket=2026-03-05..2026-03-01", "must be after"),
    ],
)
def test_an_invalid_parameter_says_what_is_wrong(week: Cast, parameters: str, words: str) -> None:
    assert words in read(signed_in(week.viewer), f"{LIST}&{parameters}", status=400)


def test_any_figure_can_be_searched_and_sorted(week: Cast) -> None:
    client = signed_in(week.viewer)
    for key in ("deployments", "commits", "reviews", "ci_duration", "incidents", "review_turnaround", "wip"):
        for parameters in ("search=a", "ordering=account", "ordering=-repository"):
            read(client, f"/teams/acme/figures/{key}/?{WEEK}&{parameters}")
