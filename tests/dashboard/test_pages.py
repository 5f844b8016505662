"""Pages for people: right, bounded, and only their own."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from apps.activity.models import Installation, PullRequest
from apps.dashboard.views import TEAMS_PER_PAGE
from apps.metrics.figures import FIGURES
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser
from tests.api.conftest import Cast, make_delivery

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
WEEK = "from=2026-03-02&to=2026-03-09"


def signed_in(user: CustomUser) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def read(client: Client, address: str, *, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return re.sub(r"\s+", " ", answer.content.decode())


@pytest.mark.parametrize("address", ["/", "/teams/acme/figures/commits/", "/api/v1/docs/", "/notes/"])
def test_anonymous_users_are_sent_to_sign_in(cast: Cast, address: str) -> None:
    answer = Client().get(address)
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={address}")


def test_the_url_of_a_team_redirects_to_it_on_the_front_page(cast: Cast) -> None:
    for number in range(TEAMS_PER_PAGE):
        Team.objects.create(name=f"A{number}", slug=f"a{number}")
    answer = signed_in(cast.operator).get("/teams/acme/")
    page = read(signed_in(cast.operator), answer["Location"])
    anchor = f"team-{cast.teams['acme'].pk}"
    assert answer["Location"] == f"/?page=2#{anchor}"
    assert f'id="{anchor}"' in page
    assert signed_in(cast.viewer).get("/teams/acme/")["Location"] == f"/?page=1#{anchor}"
    assert signed_in(cast.stranger).get("/teams/acme/").status_code == 404


def test_a_window_over_two_years_shows_both_years(week: Cast) -> None:
    assert "9 Mar 2025 \N{EN DASH} 8 Mar 2026" in read(signed_in(week.viewer), "/?from=2025-03-09&to=2026-03-09")


def test_the_front_page_shows_the_figures_of_the_window(week: Cast) -> None:
    page = read(signed_in(week.viewer), f"/?{WEEK}")
    assert "2 Mar \N{EN DASH} 8 Mar 2026" in page
    for shown in ("7 h 00 m", "p75 20 h 00 m", "p90 23 h 36 m", "4 of 5", "0.57", "4 deployments in 7 days", "80%"):
        assert shown in page, shown
    for figure in FIGURES.values():
        assert figure.title in page
        assert figure.definition in page


def test_a_card_compares_with_the_previous_period(week: Cast) -> None:
    page = read(signed_in(week.viewer), "/?from=2026-03-09&to=2026-03-16")
    assert "-100%" in page
    assert "7 h 00 m in the previous 7 days (5 PRs)" in page
    assert "25% in the previous 7 days (4 deployments)" in page


def test_a_card_charts_the_figure_over_time_and_a_column_links_to_its_list(week: Cast) -> None:
    client = signed_in(week.viewer)
    page = read(client, f"/?{WEEK}&bots=include")
    assert "By day: 2 Mar 0; 3 Mar 2; 4 Mar 1; 5 Mar 3; 6 Mar 0; 7 Mar 0; 8 Mar 0." in page
    link = "/teams/acme/figures/prs_merged/?from=2026-03-05&to=2026-03-06&bots=include"
    assert link.replace("&", "&amp;") in page
    assert read(client, link).count("<tr>") == 1 + 3
    assert "By week: " in read(client, "/?from=2026-02-09&to=2026-03-09")


def test_only_visible_teams_are_shown(week: Cast) -> None:
    assert "Umbrella" not in read(signed_in(week.viewer), "/")
    assert read(signed_in(week.stranger), "/teams/acme/figures/commits/", status=404)
    assert "acme" not in read(signed_in(week.stranger), "/")


def test_a_number_links_to_the_list_of_what_it_counts(week: Cast) -> None:
    PullRequest.objects.filter(number=5).update(title="<script>alert(1)</script>")
    client = signed_in(week.viewer)
    link = f"/teams/acme/figures/cycle_time/?{WEEK}"
    assert link.replace("&", "&amp;") in read(client, f"/?{WEEK}")
    page = read(client, link)
    assert page.count("<tr>") == 1 + 5
    assert "<script>" not in page
    assert "/acme/api/pull/5" in page


def test_a_list_links_to_what_is_left_out(week: Cast) -> None:
    client = signed_in(week.viewer)
    link = f"/teams/acme/figures/prs_merged/?{WEEK}"
    assert "excluded=bot" in (page := read(client, link))
    assert ">1 bot</a>" in page
    page = read(client, f"{link}&excluded=bot")
    assert "<strong>1 bot</strong>" in page
    assert "dependabot[bot]" in page
    assert page.count("<tr>") == 1 + 1
    assert "Reasons: bot, agent, human, not_a_member." in read(client, f"{link}&excluded=mood", status=400)


def test_figures_of_a_person_are_for_admins_on_pages_too(week: Cast) -> None:
    read(signed_in(week.viewer), f"/?{WEEK}&author=ben", status=403)
    page = read(signed_in(week.admin), f"/?{WEEK}&author=ben")
    assert "Pull requests merged" in page
    assert "Deployment frequency" not in page
    read(signed_in(week.admin), f"/teams/acme/figures/deployments/?{WEEK}&author=ben", status=400)


def test_a_board_without_production_deployments_names_the_environments(week: Cast) -> None:
    Team.objects.filter(slug="acme").update(production_environments=["live"])
    page = read(signed_in(week.viewer), f"/?{WEEK}")
    assert "Production environments: live; seen: production, staging." in page


@override_settings(PUBLIC_URL="https://figures.example.com")
def test_a_new_instance_shows_the_webhook_url_to_operators() -> None:
    operator = CustomUser.objects.create_superuser("operator")
    assert "https://figures.example.com/webhooks/github/" in read(signed_in(operator), "/")
    make_delivery(1)
    assert "No team yet" in read(signed_in(operator), "/")


def test_a_user_without_a_team_sees_whom_to_ask() -> None:
    page = read(signed_in(CustomUser.objects.create_user("new")), "/")
    assert "You have no access to a team yet" in page
    assert "webhooks/github" not in page


def test_a_bad_window_says_what_is_accepted(week: Cast) -> None:
    assert "7d or 90d" in read(signed_in(week.viewer), "/?window=year", status=400)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("repository=%00", "does not track the repository"),
        ("as_of=0001-01-01T00:00:00%2B14:00", "1970-01-01"),
        ("from=0002-01-01&to=0003-01-01", "1970-01-01"),
    ],
)
def test_an_invalid_filter_says_what_is_wrong(week: Cast, parameters: str, words: str) -> None:
    assert words in read(signed_in(week.viewer), f"/?{parameters}", status=400)


def test_the_earliest_window_has_a_period_before_it(week: Cast) -> None:
    read(signed_in(week.viewer), "/?from=1970-01-01&to=1980-01-01")


@pytest.mark.proof
def test_teams_come_in_pages_and_each_costs_the_same(cast: Cast) -> None:
    counts = []
    for number in range(7):
        team = Team.objects.create(name=f"Team {number}", slug=f"team-{number}")
        TeamAccess.objects.create(team=team, user=cast.viewer)
        if number in (0, 1, 2):
            client = signed_in(cast.viewer)
            with CaptureQueriesContext(connection) as queries:
                client.get("/")
            counts.append(len(queries))
    assert counts[2] - counts[1] == counts[1] - counts[0] <= 45
    page = read(signed_in(cast.viewer), "/?window=7d")
    assert page.count('class="board"') == 5
    assert "?window=7d&amp;page=2" in page


def test_the_api_page_lists_every_operation(cast: Cast) -> None:
    page = read(signed_in(cast.viewer), "/api/v1/docs/")
    assert page.count('class="operation"') == 56
    assert "/api/v1/teams/{slug}/figures/{key}/entities/" in page


@pytest.mark.parametrize(
    "address",
    ["/", "/accounts/login/", "/api/v1/docs/", "/teams/acme/figures/commits/", "/notes/", "/operations/jobs/"],
)
def test_pages_load_nothing_from_elsewhere_and_have_no_inline_script(cast: Cast, address: str) -> None:
    answer = signed_in(cast.viewer).get(address) if "login" not in address else Client().get(address)
    page = answer.content.decode()
    loaded = re.findall(r'<(?:link|img|script|iframe)[^>]+(?:href|src)="([^"]+)"', page)
    assert loaded
    assert [url for url in loaded if not url.startswith("/static/")] == []
    assert re.findall(r"<script(?![^>]* src=)|\son\w+=|hx-on", page) == []
    assert " style=" not in page
    assert "default-src 'self'" in answer["Content-Security-Policy"]


class TestSigningIn:
    """By password, without telling who has an account."""

    def sign_in(self, username: str, password: str) -> Any:
        return Client(REMOTE_ADDR="198.51.100.7").post("/accounts/login/", {"login": username, "password": password})

    def test_the_right_password_opens_the_front_page(self) -> None:
        CustomUser.objects.create_user("ana", password="a right password")
        answer = self.sign_in("ana", "a right password")
        assert (answer.status_code, answer["Location"]) == (302, "/")
        page = answer.client.get("/").content.decode()
        assert '<p class="note success" role="status">Successfully signed in as ana.</p>' in page

    def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(self) -> None:
        CustomUser.objects.create_user("ana", password="a right password")
        pages = [
            re.sub(r'value="[^"]*"', "", self.sign_in(name, "wrong").content.decode()) for name in ("ana", "nobody")
        ]
        assert pages[0] == pages[1]
        assert "not correct" in pages[0]

    def test_users_cannot_sign_up_by_themselves(self) -> None:
        page = Client().get("/accounts/signup/").content.decode()
        assert "<form" not in page

    def test_github_sign_in_is_offered_only_when_configured(self) -> None:
        assert "GitHub" not in Client().get("/accounts/login/").content.decode()

    def test_repeated_wrong_passwords_are_blocked(self) -> None:
        CustomUser.objects.create_user("ana", password="a right password")
        statuses = [self.sign_in("ana", "wrong").status_code for _ in range(5)]
        assert statuses[-1] == 429
        assert self.sign_in("ana", "a right password").status_code != 302


def test_a_repository_in_the_address_shows_the_teams_that_track_it(week: Cast) -> None:
    TeamAccess.objects.create(team=week.teams["umbrella"], user=week.viewer)
    client = signed_in(week.viewer)
    assert read(client, f"/?{WEEK}").count('class="board"') == 2
    page = read(client, f"/?{WEEK}&repository=acme/api")
    assert page.count('class="board"') == 1
    assert "Umbrella" not in page
    assert "does not track the repository" in read(client, f"/?{WEEK}&repository=acme/nothing", status=400)


def test_a_delivery_of_the_installation_counts_as_the_last_delivery(cast: Cast) -> None:
    app = Installation.objects.create(github_id=7, account=cast.teams["acme"].account)
    client = signed_in(cast.viewer)
    assert "no delivery yet" in read(client, "/")
    make_delivery(1, repository_id=None, installation_id=app.pk, event="installation", action="created")
    assert "last delivery" in read(client, "/")
