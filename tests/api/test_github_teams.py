"""Teams on GitHub that webhooks reported, and teams made of them."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.activity.facts import Stamp
from apps.activity.models import GitHubMembership, GitHubTeam
from apps.metrics.recalculation import drain as recalculate
from apps.teams.models import Team, TeamMember
from tests.api.conftest import API, UMBRELLA, Cast
from tests.github.translation import Door, read
from tests.metrics.steps import person
from tests.webhooks.conftest import drain

pytestmark = pytest.mark.django_db

TEAMS = "/api/v1/github-teams/"
CORE = 9001


def report(action: str) -> None:
    """Deliver GitHub's webhook about ben and Core, by the ids of the week."""
    event, payload = read(f"membership.{action}")
    payload["organization"]["id"], payload["member"] = person("acme"), {"id": person("ben"), "login": "ben"}
    assert Door().post(event, payload).status_code == 202
    drain()


@pytest.fixture
def reported(week: Cast, settings: Any) -> Cast:
    """GitHub reported that ben joined Core, and that a team of umbrella exists."""
    Team.objects.filter(slug="acme").update(time_zone="Europe/Berlin")
    report("added")
    GitHubTeam.objects.create(github_id=1, organization_id=UMBRELLA, slug="secret", name="Secret")
    return week


def make(cast: Cast, *, by: str = "admin", github_id: int = CORE) -> Any:
    return cast.client(getattr(cast, by)).post(f"{TEAMS}{github_id}/team/")


def test_a_team_of_github_is_proposed_with_its_members(reported: Cast) -> None:
    [shown] = reported.client(reported.viewer).get(TEAMS).json()["results"]
    assert (shown["name"], shown["account"]["login"], shown["team"]) == ("Core", "acme", None)
    [member] = shown["members"]
    assert member["contributor"]["login"] == "ben"
    assert member["since"] is not None
    everything = reported.client(reported.operator).get(TEAMS).json()["results"]
    assert [one["name"] for one in everything] == ["Core", "Secret"]
    GitHubTeam.objects.update(is_deleted=True)
    assert reported.client(reported.viewer).get(TEAMS).json()["results"] == []


def test_a_team_is_made_of_it_once_by_an_admin_of_the_account(reported: Cast) -> None:
    assert make(reported, by="viewer").status_code == 403
    assert make(reported, by="stranger").status_code == 404
    made = make(reported)
    assert made.status_code == 201, made.json()
    assert made.json()["role"] == "admin"
    team = Team.objects.get(slug=made.json()["slug"])
    assert (team.name, team.slug, team.time_zone, team.account) == ("Core", "core", "Europe/Berlin", None)
    joined_at = Stamp.moment_of(GitHubMembership.objects.get().stamp)
    assert joined_at is not None
    members = TeamMember.objects.filter(team=team).values_list("contributor__login", "from_at", "until_at")
    assert list(members) == [("ben", joined_at, None)]
    assert list(team.tracked.values_list("repository", flat=True)) == [API]
    assert recalculate(seconds=60)
    client = reported.client(reported.admin)
    assert client.get(f"/api/v1/teams/{team.slug}/figures/").status_code == 200
    assert client.get(TEAMS).json()["results"][0]["team"] == "core"
    assert reported.client(reported.viewer).get(TEAMS).json()["results"][0]["team"] is None, (
        "a team that they do not see"
    )
    again = make(reported, by="operator")
    assert (again.status_code, again.json()["code"]) == (409, "proposal_refused")


def test_without_a_known_member_none_is_made_since_it_would_include_everybody(reported: Cast) -> None:
    report("removed")
    assert make(reported).status_code == 409
    assert not Team.objects.filter(github_team=CORE).exists()


def test_the_command_lists_and_makes_them(reported: Cast) -> None:
    out = StringIO()
    call_command("github_teams", stdout=out)
    assert out.getvalue().splitlines() == ["9001 acme/core: ben", "1 umbrella/secret: none known"]
    call_command("github_teams", "--create", str(CORE), stdout=out)
    assert "Created the team core with 1 members." in out.getvalue()
    call_command("github_teams", stdout=out)
    assert "9001 acme/core: ben; team core" in out.getvalue()
    for identity, words in ((1, "None of its members"), (CORE, "A team already exists"), (2, "No known team")):
        with pytest.raises(CommandError, match=words):
            call_command("github_teams", "--create", str(identity), stdout=out)
