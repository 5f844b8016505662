"""Teams on GitHub that webhooks reported, and teams made of them."""

from datetime import datetime
from io import StringIO
from itertools import permutations
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.activity.facts import Evidence, GitHubTeamHappened, Source, Stamp
from apps.activity.models import GitHubMembership, GitHubTeam
from apps.activity.record import record
from apps.metrics.recalculation import drain as recalculate
from apps.teams.models import Team, TeamMember
from apps.webhooks.models import Delivery
from tests.api.conftest import API, UMBRELLA, Cast
from tests.delivery_times import set_received_at
from tests.github.translation import Door, read
from tests.metrics.steps import person
from tests.webhooks.conftest import drain

pytestmark = pytest.mark.django_db

TEAMS = "/api/v1/github-teams/"
CORE = 9001


def report(action: str, *, day: str = "", login: str = "ben") -> None:
    """Deliver GitHub's webhook about ben and Core, by the ids of the week; it arrived on the day of March."""
    event, payload = read(f"membership.{action}")
    payload["organization"]["id"], payload["member"] = person("acme"), {"id": person(login), "login": login}
    assert Door().post(event, payload).status_code == 202
    if day:
        set_received_at(Delivery.objects.filter(state="received"), at(day))
    drain()


def at(day: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{day}T09:00:00Z")


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


STORY = (("added", "02"), ("removed", "05"), ("added", "09"))


@pytest.fixture
def followed(week: Cast) -> Team:
    """The team that was made of Core, which ana joined long ago, and is kept in step with it."""
    report("added", day="01", login="ana")
    made = week.client(week.admin).post(f"{TEAMS}{CORE}/team/", {"is_kept_in_step": True}, format="json")
    assert (made.status_code, made.json()["is_kept_in_step"], made.json()["github_team"]) == (201, True, CORE)
    team: Team = Team.objects.get(github_team=CORE)
    return team


def periods(team: Team, *, login: str = "ben") -> list[tuple[Any, Any]]:
    """Return from which day until which an account is a member of the team."""
    assert recalculate(seconds=60)
    rows = TeamMember.objects.filter(team=team, contributor__login=login).order_by("until_at", "from_at")
    return [tuple(each and f"{each:%d}" for each in row) for row in rows.values_list("from_at", "until_at")]


def figure(cast: Cast, team: Team, name: str = "prs_opened") -> Any:
    query = f"figure={name}&from=2026-03-01&to=2026-03-14"
    [found] = cast.client(cast.admin).get(f"/api/v1/teams/{team.slug}/figures/?{query}").json()["figures"]
    return found["value"]


def test_who_joins_or_leaves_on_github_joins_or_leaves_from_then(followed: Team) -> None:
    report("added", day="02")
    assert periods(followed) == [("02", None)]
    report("removed", day="05")
    assert periods(followed) == [("02", "05")]
    report("added", day="09")
    assert periods(followed) == [("02", "05"), ("09", None)]


def test_what_was_done_as_a_member_stays_attributed(week: Cast, followed: Team) -> None:
    before = figure(week, followed)
    report("added", day="01")
    assert recalculate(seconds=60)
    with_ben = figure(week, followed)
    report("removed", day="20")
    assert recalculate(seconds=60)
    assert figure(week, followed) == with_ben > before


@pytest.mark.parametrize("order", list(permutations(STORY)))
def test_any_order_and_any_repetition_ends_in_the_same_memberships(followed: Team, order: Any) -> None:
    for action, day in (*order, *order[:2]):
        report(action, day=day)
        recalculate(seconds=60)
    assert periods(followed) == [("02", "05"), ("09", None)]


def test_a_leave_of_somebody_never_known_to_join_changes_nothing(followed: Team) -> None:
    report("removed", day="05")
    assert periods(followed) == []


def test_what_is_read_and_not_delivered_counts_alike(followed: Team) -> None:
    for day, is_member in (("09", True), ("05", False), ("02", True), ("03", True)):
        happened = GitHubTeamHappened(team_id=CORE, contributor_id=person("ben"), at=at(day), is_member=is_member)
        record([Evidence(source=Source(kind="api", key="members"), facts=(happened,))])
        recalculate(seconds=60)
    assert periods(followed) == [("02", "05"), ("09", None)]


def test_memberships_of_one_team_that_is_deleted_end_then(followed: Team) -> None:
    report("added", day="02")
    event, payload = read("team.deleted")
    payload["organization"]["id"] = person("acme")
    assert Door().post(event, payload).status_code == 202
    set_received_at(Delivery.objects.filter(state="received"), at("20"))
    drain()
    assert periods(followed) == [("02", "20")]
    assert periods(followed, login="ana") == [("01", "20")]


def test_what_was_written_or_changed_by_hand_stays(week: Cast, followed: Team) -> None:
    members, admin = f"/api/v1/teams/{followed.slug}/members/", week.client(week.admin)
    assert admin.post(members, {"login": "ben", "until_at": at("04")}).json()["is_from_github"] is False
    report("added", day="02")
    assert periods(followed) == [(None, "04")], "what GitHub says of that time is left out"
    report("removed", day="05")
    report("added", day="09")
    assert periods(followed) == [(None, "04"), ("09", None)]
    [row] = [one for one in admin.get(members).json()["results"] if one["contributor"]["login"] == "ana"]
    assert row["is_from_github"] is True
    assert admin.patch(f"{members}{row['id']}/", {"from_at": None}, format="json").json()["is_from_github"] is False
    report("removed", day="20", login="ana")
    assert periods(followed, login="ana") == [(None, None)]


def test_it_is_off_unless_somebody_chooses_it(week: Cast, followed: Team) -> None:
    address, admin = f"/api/v1/teams/{followed.slug}/", week.client(week.admin)
    assert admin.patch(address, {"is_kept_in_step": False}).json()["is_kept_in_step"] is False
    report("added", day="02")
    assert periods(followed) == []
    assert week.client(week.viewer).patch(address, {"is_kept_in_step": True}).status_code == 404
    assert admin.patch(address, {"is_kept_in_step": True}).status_code == 200
    assert periods(followed) == [("02", None)], "what happened meanwhile is caught up on"
    refused = admin.patch("/api/v1/teams/acme/", {"is_kept_in_step": True})
    assert (refused.status_code, "made of one on GitHub" in str(refused.json())) == (400, True)


def test_the_command_begins_and_stops_it(week: Cast, followed: Team) -> None:
    out = StringIO()
    call_command("github_teams", "--stop", str(CORE), stdout=out)
    call_command("github_teams", stdout=out)
    assert "No longer kept in step.\n9001 acme/core: ana; team core\n" in out.getvalue()
    report("added", day="02")
    assert periods(followed) == []
    call_command("github_teams", "--keep-in-step", str(CORE), stdout=out)
    assert periods(followed) == [("02", None)]
    call_command("github_teams", stdout=out)
    assert "team core, kept in step" in out.getvalue()
    with pytest.raises(CommandError, match="No team was made"):
        call_command("github_teams", "--keep-in-step", "2", stdout=out)


def test_who_left_before_a_team_is_made_counts_until_then(week: Cast) -> None:
    for action, day in STORY[:2]:
        report(action, day=day)
    assert make(week).status_code == 409, "nobody is a member now"
    report("added", day="01", login="ana")
    assert make(week).status_code == 201
    assert periods(Team.objects.get(github_team=CORE)) == [("02", "05")]
