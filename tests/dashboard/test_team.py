"""The page of a team: its sections, cards, charts and filters."""

import re
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from apps.activity.models import Installation, PullRequest, Repository
from apps.dashboard import figure_filters
from apps.dashboard.cards import REASONS
from apps.dashboard.figure_filters import canonical
from apps.dashboard.team_sections import SECTIONS
from apps.metrics.figures import FIGURES
from apps.teams.models import Team, TeamAccess
from tests.api.conftest import Cast, make_delivery
from tests.dashboard.test_pages import read, signed_in

pytestmark = pytest.mark.django_db
TEAM = "/teams/acme/"
WEEK = "from=2026-03-02&to=2026-03-09"
CARD = re.compile(r'<article class="card" id="(\w+)">.*?<data value="([^"]*)">', re.DOTALL)


def every_section(client: Client, parameters: str) -> dict[str, str]:
    """The page of each section."""
    pages = {}
    for key in SECTIONS:
        section = "" if key == "overview" else f"&section={key}"
        pages[key] = read(client, f"{TEAM}?{parameters}{section}")
    return pages


def api(cast: Cast, parameters: str) -> dict[str, dict[str, Any]]:
    answer = cast.client(cast.admin).get(f"/api/v1{TEAM}figures/?{parameters}&previous=true&detail=true")
    return {one["figure"]: one for one in answer.json()["figures"]}


def test_the_sections_have_every_figure_with_its_definition(week: Cast) -> None:
    pages = every_section(signed_in(week.viewer), WEEK)
    shown = {key for page in pages.values() for key, _ in CARD.findall(page)}
    assert shown == set(FIGURES)
    everything = " ".join(pages.values())
    assert [one.key for one in FIGURES.values() if one.definition.replace("'", "&#x27;") not in everything] == []


@pytest.mark.parametrize("parameters", [WEEK, f"{WEEK}&bots=include", f"{WEEK}&hours=working&attribution=current"])
def test_every_card_has_the_figure_of_the_api(week: Cast, parameters: str) -> None:
    figures = api(week, parameters)
    for page in every_section(signed_in(week.viewer), parameters).values():
        cards = dict(CARD.findall(page))
        assert cards
        for key, value in cards.items():
            known = figures[key]["value"]
            assert (float(value) if value else None) == pytest.approx(known), key
        for key, reason, n in re.findall(r"figures/(\w+)/\?[^\"]*excluded=(\w+)\">([\d,]+) ", page):
            known = {one["reason"]: one["n"] for one in figures[key]["excluded"]}
            assert int(n) == known[reason], (key, reason)


def test_numbers_are_said_as_people_say_them(week: Cast) -> None:
    page = read(signed_in(week.viewer), f"{TEAM}?{WEEK}")
    assert "2 Mar \N{EN DASH} 8 Mar 2026" in page
    assert re.search(r"4 deployments in 7 days, on \d days", page)
    for shown in ("7 h 00 m", "p75 20 h 00 m", "p90 23 h 36 m", "4 of 5 PRs", "0.57", "80%", "median of 5 PRs"):
        assert shown in page, shown
    assert "5 in the previous 7 days" in read(signed_in(week.viewer), f"{TEAM}?from=2026-03-09&to=2026-03-16")


def test_a_card_compares_with_the_previous_period(week: Cast) -> None:
    page = read(signed_in(week.viewer), f"{TEAM}?from=2026-03-09&to=2026-03-16")
    assert "-100%" in page
    assert "7 h 00 m in the previous 7 days (5 PRs)" in page
    assert "25% in the previous 7 days (4 deployments)" in page


def test_a_column_links_to_its_list_and_keeps_the_filters(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, f"{TEAM}?{WEEK}&bots=include")
    words = re.findall(
        r'bucket=(?:[^"]*)"><title>([^<]*)</title>', page.split('id="prs_merged"')[1].split("</article>")[0]
    )
    assert words == ["3 Mar: 2 pull requests", "4 Mar: 1 pull request", "5 Mar: 3 pull requests"]
    link = f"{TEAM}figures/prs_merged/?{WEEK}&bots=include&bucket=2026-03-05..2026-03-06"
    assert link.replace("&", "&amp;") in page
    listed = read(client, link)
    assert listed.count("<tr>") == 1 + 3
    assert f'<a href="{TEAM}?{WEEK}&bots=include">'.replace("&", "&amp;") in listed  # and back
    assert "<title>Week of 2 Mar: 6 pull requests" in read(client, f"{TEAM}?from=2026-02-09&to=2026-03-09&bots=include")


def test_of_very_many_repositories_the_chosen_ones_are_listed_and_others_named(
    week: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figure_filters, "MOST_LISTED", 0)
    Repository.objects.create(github_id=4000, full_name="acme/web", owner_id=week.teams["acme"].account_id)
    client = signed_in(week.viewer)
    page = read(client, f"{TEAM}?{WEEK}&repository=acme/api")
    assert page.count('type="checkbox" name="repository"') == 1
    assert '<input name="repository"' in page
    assert "2 repositories" not in page
    assert client.get(f"{TEAM}?{WEEK}&repository=acme/api&repository=").status_code == 302


def test_a_stage_of_a_week_links_to_its_list(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, f"{TEAM}?{WEEK}")
    links = re.findall(r'href="([^"]*figures/coding_time/[^"]*bucket=[^"]*)"[^>]*><title>Coding, ([^<]*)</title>', page)
    assert links
    assert read(client, links[0][0].replace("&amp;", "&")).count("<tr>") > 1


def test_a_bar_of_a_histogram_links_to_the_values_in_it(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, f"{TEAM}?{WEEK}&section=flow")
    bars = re.findall(r'href="([^"]*figures/cycle_time/[^"]*least=[^"]*)"[^>]*><title>[^<]*: (\d+) PRs?</title>', page)
    assert sum(int(n) for _, n in bars) == 5
    for link, n in bars:
        assert read(client, link.replace("&amp;", "&")).count("<tr>") == 1 + int(n)


def test_only_visible_teams_are_shown(week: Cast) -> None:
    assert read(signed_in(week.stranger), TEAM, status=404)
    assert read(signed_in(week.stranger), f"{TEAM}figures/commits/", status=404)
    assert "acme" not in read(signed_in(week.stranger), "/")
    assert Client().get(TEAM).status_code == 302


def test_figures_of_a_person_are_for_admins_on_pages_too(week: Cast) -> None:
    read(signed_in(week.viewer), f"{TEAM}?{WEEK}&author=ben", status=403)
    page = read(signed_in(week.admin), f"{TEAM}?{WEEK}&author=ben")
    assert "Pull requests merged" in page
    assert "Deployment frequency" not in page
    assert "can be filtered this way" not in page
    assert "can be filtered this way" in read(signed_in(week.admin), f"{TEAM}?{WEEK}&label=bug&section=ci")
    read(signed_in(week.admin), f"{TEAM}figures/deployments/?{WEEK}&author=ben", status=400)


def test_who_reviews_whom_is_for_admins_and_sums_to_the_figure(week: Cast) -> None:
    address = f"{TEAM}?{WEEK}&section=review"
    viewed, page = read(signed_in(week.viewer), address), read(signed_in(week.admin), address)
    assert "Only leads and admins of the team see figures by person" in viewed
    assert 'author=ben"' not in viewed
    rows = re.findall(r'<th scope="row"><a href="[^"]*author=(\w+)">\w+</a></th><td class="number">(\d+)</td>', page)
    assert rows
    assert sum(int(n) for _, n in rows) == api(week, WEEK)["reviews"]["value"]


def test_a_page_without_production_deployments_names_the_environments(week: Cast) -> None:
    Team.objects.filter(slug="acme").update(production_environments=["live"])
    page = read(signed_in(week.viewer), f"{TEAM}?{WEEK}")
    assert "Production environments: live; seen: production, staging." in page


def test_a_delivery_of_the_installation_counts_as_the_last_delivery(cast: Cast) -> None:
    app = Installation.objects.create(github_id=7, account=cast.teams["acme"].account)
    client = signed_in(cast.viewer)
    assert "no delivery yet" in read(client, TEAM)
    make_delivery(1, repository_id=None, installation_id=app.pk, event="installation", action="created")
    assert "last delivery" in read(client, TEAM)


def test_a_title_of_a_pull_request_is_no_markup(week: Cast) -> None:
    PullRequest.objects.filter(number=5).update(title="<script>alert(1)</script>", labels=["<b>"])
    client = signed_in(week.viewer)
    page = read(client, f"{TEAM}figures/cycle_time/?{WEEK}") + read(client, f"{TEAM}?{WEEK}")
    assert "<script>alert" not in page
    assert "<b>" not in re.findall(r"<datalist.*?</datalist>", page)[0]


def test_every_reason_has_words() -> None:
    assert {reason for figure in FIGURES.values() for reason in figure.reasons} <= set(REASONS)


class TestFilters:
    """They live in the URL, where only what differs from the default stands."""

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ("window=30d&bots=exclude&label=&ai=&hours=wall", ""),
            ("window=90d&bots=include&section=overview", "window=90d&bots=include"),
            ("window=30d&from=2026-03-02&last_day=2026-03-08", "from=2026-03-02&to=2026-03-09"),
            ("window=30d&from=&last_day=", ""),
            ("repository=acme/api&repository=acme/api", "repository=acme%2Fapi"),
        ],
    )
    def test_a_form_leads_to_the_shortest_url(self, cast: Cast, sent: str, kept: str) -> None:
        answer = signed_in(cast.viewer).get(f"{TEAM}?{sent}")
        assert answer.status_code == 302
        assert answer["Location"] == (f"{TEAM}?{kept}" if kept else TEAM)
        assert canonical(QueryDict(kept)) == QueryDict(kept)

    def test_the_controls_say_what_was_chosen(self, week: Cast) -> None:
        page = read(signed_in(week.viewer), f"{TEAM}?{WEEK}&bots=only&hours=working&label=bug")
        assert '<option value="only" selected>Only bots</option>' in page
        assert '<input name="label" list="labels" value="bug"' in page
        assert 'name="last_day" value="2026-03-08"' in page
        assert "Label: bug" in page
        assert "Filters (3)" in page

    def test_the_choices_are_the_teams_own(self, week: Cast) -> None:
        PullRequest.objects.filter(number=5).update(labels=["bug", "ui"])
        page = read(signed_in(week.viewer), TEAM)
        assert '<option value="bug"></option><option value="ui"></option>' in page
        assert "umbrella/secrets" not in page

    def test_a_window_over_two_years_shows_both_years(self, week: Cast) -> None:
        page = read(signed_in(week.viewer), f"{TEAM}?from=2025-03-09&to=2026-03-09")
        assert "9 Mar 2025 \N{EN DASH} 8 Mar 2026" in page

    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ("window=year", "7d or 90d"),
            ("repository=%00", "null character"),
            ("as_of=0001-01-01T00:00:00%2B14:00", "1970-01-01"),
            ("from=0002-01-01&to=0003-01-01", "1970-01-01"),
            ("from=2026-03-02&last_day=yesterday", "yesterday"),
            ("last_day=2026-03-02", "must be used together"),
            ("section=mood", "Sections: overview, flow"),
            ("granularity=hour", "day, week, month"),
        ],
    )
    def test_an_invalid_filter_says_what_is_wrong(self, week: Cast, parameters: str, words: str) -> None:
        client = signed_in(week.viewer)
        answer = client.get(f"{TEAM}?{parameters}", follow=True)
        assert answer.status_code == 400
        assert words in answer.content.decode()

    def test_the_earliest_window_has_a_period_before_it(self, week: Cast) -> None:
        read(signed_in(week.viewer), f"{TEAM}?from=1970-01-01&to=1980-01-01")

    def test_a_long_window_by_days_is_drawn_by_weeks(self, week: Cast) -> None:
        page = read(signed_in(week.viewer), f"{TEAM}?from=2025-12-01&to=2026-03-09&granularity=day")
        assert 'aria-label="By week"' in page


def test_a_user_of_a_single_team_has_it_on_the_front_page(week: Cast) -> None:
    client = signed_in(week.viewer)
    assert CARD.findall(read(client, f"/?{WEEK}")) == CARD.findall(read(client, f"{TEAM}?{WEEK}"))
    TeamAccess.objects.create(team=week.teams["umbrella"], user=week.viewer)
    assert "<h1>Teams</h1>" in read(client, "/")
