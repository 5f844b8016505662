"""Teams over the API: read by whoever sees them, changed by their admins; figures follow every change."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.activity.models import Change, Contributor, GitHubTeam, Repository
from apps.teams.models import Team, TeamAccess, TeamMember, TeamRepository
from tests.api.conftest import API, SECRETS, Cast, make_members
from tests.metrics.steps import person

pytestmark = pytest.mark.django_db
TEAM = "/api/v1/teams/acme/"


@pytest.fixture
def admin(week: Cast) -> APIClient:
    return week.client(week.admin)


def post(client: APIClient, address: str, body: dict[str, Any]) -> Any:
    return client.post(address, body, format="json")


def test_everybody_sees_their_teams_and_an_operator_all(cast: Cast) -> None:
    def slugs(user: Any) -> dict[str, str]:
        rows = cast.client(user).get("/api/v1/teams/").json()["results"]
        return {row["slug"]: row["role"] for row in rows}

    assert slugs(cast.viewer) == {"acme": "viewer"}
    assert slugs(cast.admin) == {"acme": "admin"}
    assert slugs(cast.operator) == dict.fromkeys(("alpha", "beta", "platform", "acme", "umbrella"), "operator")


def test_an_admin_changes_the_team_and_figures_follow(week: Cast, admin: APIClient) -> None:
    body = {"name": "Acme", "time_zone": "Europe/Berlin", "production_environments": ["live", " live ", "prod"]}
    data = admin.patch(TEAM, body, format="json").json()
    assert (data["time_zone"], data["production_environments"]) == ("Europe/Berlin", ["live", "prod"])
    assert Change.objects.filter(kind="team", key=str(week.teams["acme"].pk)).exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"time_zone": "Mars/Olympus"}, "Europe/Berlin"),
        ({"production_environments": [" "]}, "blank"),
        ({"name": ""}, "blank"),
        ({"sync_frequncy": "off"}, "sync_frequency"),
    ],
)
def test_a_bad_change_says_what_is_wrong(admin: APIClient, body: dict[str, Any], words: str) -> None:
    answer = admin.patch(TEAM, body, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, list(body))
    assert words in answer.json()["detail"]


def test_what_the_machinery_writes_cannot_be_changed(week: Cast, admin: APIClient) -> None:
    body = {"slug": "other", "is_approved": False, "last_sync_status": "failed", "last_sync_error": "no"}
    admin.patch(TEAM, body, format="json")
    week.teams["acme"].refresh_from_db()
    team = week.teams["acme"]
    assert (team.slug, team.is_approved) == ("acme", True)
    assert (team.last_sync_status, team.last_sync_error) == ("never", "")


def test_members_join_leave_and_come_back(week: Cast, admin: APIClient) -> None:
    joined = post(admin, f"{TEAM}members/", {"login": "Ana", "until_at": "2026-03-04T12:00:00Z"})
    assert joined.status_code == 201
    assert joined.json()["contributor"]["login"] == "ana"
    body = {"contributor_id": joined.json()["contributor"]["github_id"], "from_at": "2026-04-01T00:00:00Z"}
    assert post(admin, f"{TEAM}members/", body).status_code == 201
    listed = admin.get(f"{TEAM}members/").json()["results"]
    assert [row["from_at"] for row in listed] == ["2026-04-01T00:00:00Z", None]
    address = f"{TEAM}members/{joined.json()['id']}/"
    assert admin.patch(address, {"until_at": "2026-03-05T00:00:00Z"}, format="json").status_code == 200
    assert admin.delete(address).status_code == 204
    assert TeamMember.objects.filter(team=week.teams["acme"]).count() == 1


def test_a_membership_that_would_come_back_is_not_deleted(week: Cast, admin: APIClient) -> None:
    team = week.teams["acme"]
    core = GitHubTeam.objects.create(github_id=9001, organization_id=person("acme"), slug="core", name="Core")
    Team.objects.filter(pk=team.pk).update(github_team=core, is_kept_in_step=True)
    kept = TeamMember.objects.create(team=team, contributor_id=person("ana"), is_from_github=True)
    refused = admin.delete(f"{TEAM}members/{kept.pk}/")
    assert (refused.status_code, refused.json()["code"]) == (409, "would_come_back")
    assert (
        admin.patch(f"{TEAM}members/{kept.pk}/", {"until_at": "2026-03-05T00:00:00Z"}, format="json").status_code == 200
    )
    assert admin.delete(f"{TEAM}members/{kept.pk}/").status_code == 204


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "contributor_id"),
        ({"login": "nobody-knows"}, "login"),
        ({"contributor_id": 999_999}, "contributor_id"),
        ({"login": "ana", "from_at": "2026-03-04T12:00:00Z", "until_at": "2026-03-04T12:00:00Z"}, "until_at"),
        ({"login": "ben", "from_at": None}, "from_at"),
    ],
)
def test_a_membership_that_cannot_be_is_refused(week: Cast, admin: APIClient, body: dict[str, Any], field: str) -> None:
    make_members(week.teams["acme"], "ben")
    answer = post(admin, f"{TEAM}members/", body)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])


def test_an_admin_cannot_learn_of_accounts_elsewhere(week: Cast, admin: APIClient) -> None:
    Contributor.objects.create(github_id=900, login="hidden", kind="user")
    assert post(admin, f"{TEAM}members/", {"login": "hidden"}).json() == {
        "detail": "login: No account known to this team has this login.",
        "code": "invalid",
        "fields": {"login": ["No account known to this team has this login."]},
    }
    known = [row["login"] for row in admin.get(f"{TEAM}contributors/").json()["results"]]
    assert "hidden" not in known
    assert {"ana", "ben", "cy", "talbot"} <= set(known)
    assert post(week.client(week.operator), f"{TEAM}members/", {"login": "hidden"}).status_code == 201


def test_repositories_are_added_and_removed(week: Cast) -> None:
    operator = week.client(week.operator)
    assert post(operator, f"{TEAM}repositories/", {"repository_id": SECRETS}).status_code == 201
    assert post(operator, f"{TEAM}repositories/", {"repository_id": SECRETS}).status_code == 400
    rows = operator.get(f"{TEAM}repositories/").json()["results"]
    assert {row["full_name"]: row["is_added"] for row in rows} == {"acme/api": False, "umbrella/secrets": True}
    assert operator.delete(f"{TEAM}repositories/{SECRETS}/").status_code == 204
    assert operator.delete(f"{TEAM}repositories/{API}/").status_code == 404  # its account's own
    assert not TeamRepository.objects.filter(team=week.teams["acme"]).exists()


def test_an_admin_adds_only_what_they_see(admin: APIClient) -> None:
    refused = {
        post(admin, f"{TEAM}repositories/", {"repository_id": number}).json()["code"] for number in (SECRETS, 424_242)
    }
    assert refused == {"invalid"}
    assert Repository.objects.filter(pk=SECRETS).exists()


@pytest.fixture
def own(week: Cast) -> Team:
    """A team of the viewer's own that tracks nothing; its admin only looks at acme."""
    own = Team.objects.create(name="Own", slug="own")
    TeamAccess.objects.create(team=own, user=week.viewer, role=TeamAccess.Role.ADMIN)
    return own


def add(client: APIClient, team: Team, repository_id: int) -> int:
    return int(post(client, f"/api/v1/teams/{team.slug}/repositories/", {"repository_id": repository_id}).status_code)


def test_a_reader_of_a_repository_cannot_give_others_access_to_it(week: Cast, own: Team) -> None:
    TeamAccess.objects.create(team=own, user=week.stranger)
    client = week.client(week.viewer)
    assert add(client, own, API) == 400
    TeamAccess.objects.filter(team=week.teams["acme"], user=week.viewer).delete()
    seen = [week.client(user).get(f"/api/v1/repositories/{API}/") for user in (week.viewer, week.stranger)]
    assert [answer.status_code for answer in seen] == [404, 404]


def test_admins_add_within_an_account_and_operators_across(week: Cast, own: Team) -> None:
    another = Repository.objects.create(github_id=77, full_name="acme/another", owner=week.teams["acme"].account)
    unowned = Repository.objects.create(github_id=78, full_name="acme/unowned")
    for team in (own, week.teams["platform"]):
        TeamAccess.objects.update_or_create(team=team, user=week.admin, defaults={"role": TeamAccess.Role.ADMIN})
    client = week.client(week.admin)
    assert add(client, own, another.pk) == 400  # nobody has given the team anything of acme's
    assert add(client, week.teams["platform"], another.pk) == 201  # it tracks acme/api
    assert add(client, week.teams["platform"], unowned.pk) == 400
    assert add(client, week.teams["acme"], another.pk) == 201
    assert add(week.client(week.operator), own, another.pk) == 201


def test_a_repository_has_its_completeness(week: Cast) -> None:
    client = week.client(week.viewer)
    assert client.get(f"/api/v1/repositories/{API}/").json()["coverage"] == []
    found = client.get("/api/v1/repositories/?search=API&team=acme").json()["results"]
    assert [row["full_name"] for row in found] == ["acme/api"]
