"""A team is made by an operator and changed by its admins, in the browser alone."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.activity.models import Change, Contributor, GitHubTeam, Repository
from apps.dashboard.team_settings import NewTeamForm
from apps.teams.models import Team, TeamMember, TeamRepository
from tests.api.conftest import SECRETS, Cast
from tests.dashboard.test_pages import read, signed_in
from tests.dashboard.test_people import words
from tests.metrics.steps import API, person

pytestmark = pytest.mark.django_db
SETTINGS = "/teams/acme/settings/"
UNCHANGED = {
    "name": "acme",
    "time_zone": "UTC",
    "working_days": ["1", "2", "3", "4", "5"],
    "working_from": "09:00",
    "working_until": "17:00",
    "holidays_of": "",
    "production_environments": "",
    "sync_frequency": "daily",
}


def post(client: Client, name: str, team: str = "acme", **form: Any) -> Any:
    return client.post(reverse(name, args=[team]), form)


def test_an_operator_makes_a_team_and_gives_it_a_repository(cast: Cast) -> None:
    client = signed_in(cast.operator)
    said = words(client.post("/new-team/", {"name": "Team Blue"}))
    assert "Team Blue was created" in said
    assert "Without one there are no figures" in said
    assert "counts acme/api" in words(post(client, "change-repositories", "team-blue", repository="Acme/API"))
    blue = Team.objects.get(slug="team-blue")
    assert [tracked.repository_id for tracked in blue.tracked.all()] == [API]
    assert Change.objects.filter(kind=Change.Kind.TEAM, key=str(blue.pk)).exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [("Acme", "already a team at /teams/acme/"), ("???", "at least one letter"), ("", "required"), ("x" * 201, "200")],
)
def test_a_team_without_an_address_of_its_own_is_not_made(cast: Cast, name: str, why: str) -> None:
    known = Team.objects.count()
    answer = signed_in(cast.operator).post("/new-team/", {"name": name})
    assert answer.status_code == 422
    assert why in answer.content.decode()
    assert Team.objects.count() == known


def test_a_name_that_is_sent_twice_at_once_makes_one_team(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    save = NewTeamForm.save

    def save_second(form: NewTeamForm) -> Any:
        Team.objects.create(name="Team Blue", slug="team-blue")
        return save(form)

    monkeypatch.setattr(NewTeamForm, "save", save_second)
    answer = signed_in(cast.operator).post("/new-team/", {"name": "Team Blue"})
    assert answer.status_code == 422
    assert "already a team at /teams/team-blue/" in answer.content.decode()


@pytest.mark.parametrize("who", ["admin", "viewer"])
def test_only_operators_make_teams(cast: Cast, who: str) -> None:
    client = signed_in(getattr(cast, who))
    assert client.get("/new-team/").status_code == client.post("/new-team/", {"name": "Mine"}).status_code == 404
    assert not Team.objects.filter(name="Mine").exists()


@pytest.mark.parametrize(("who", "status"), [("viewer", 403), ("stranger", 404)])
def test_only_admins_see_and_change_settings(cast: Cast, who: str, status: int) -> None:
    client = signed_in(getattr(cast, who))
    assert (
        client.get(SETTINGS).status_code == client.post(SETTINGS, {**UNCHANGED, "name": "Mine"}).status_code == status
    )
    assert post(client, "change-repositories", repository="acme/api").status_code == status
    assert post(client, "change-members", login="ana").status_code == status
    assert not Team.objects.filter(name="Mine").exists()
    assert not TeamRepository.objects.filter(team=cast.teams["acme"]).exists()


def test_settings_are_shown_and_stored(cast: Cast) -> None:
    client = signed_in(cast.admin)
    assert 'value="09:00"' in read(client, SETTINGS)
    changed = {
        "name": "Acme Inc",
        "time_zone": "Europe/Berlin",
        "working_days": ["1", "2"],
        "working_from": "08:30",
        "holidays_of": "DE-BY",
        "production_environments": "live, prod-*",
        "sync_frequency": "hourly",
    }
    assert "Saved" in words(client.post(SETTINGS, {**UNCHANGED, **changed}))
    team = Team.objects.get(slug="acme")
    assert (team.name, team.time_zone, team.working_days) == ("Acme Inc", "Europe/Berlin", [1, 2])
    assert (str(team.working_from), team.holidays_of) == ("08:30:00", "DE-BY")
    assert (team.production_environments, team.sync_frequency) == (["live", "prod-*"], "hourly")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"working_until": "08:00"}, "Working hours must end after they begin"),
        ({"time_zone": "Mars/Base"}, "not one of the available choices"),
        ({"time_zone": "localtime"}, "not one of the available choices"),
        ({"holidays_of": "XX"}, "No holidays are known for this place"),
        ({"working_days": ["8"]}, "not one of the available choices"),
        ({"working_days": []}, "Choose one or more working days"),
        ({"name": ""}, "required"),
    ],
)
def test_mistaken_settings_are_refused_in_words(cast: Cast, changed: dict[str, Any], why: str) -> None:
    answer = signed_in(cast.admin).post(SETTINGS, {**UNCHANGED, **changed})
    assert answer.status_code == 422
    assert why in answer.content.decode()
    assert Team.objects.get(slug="acme").name == "acme"


def test_an_admin_cannot_add_a_repository_of_others(cast: Cast) -> None:
    said = words(post(signed_in(cast.admin), "change-repositories", repository="umbrella/secrets"))
    assert "You can add no repository named" in said
    assert not TeamRepository.objects.filter(repository=SECRETS).exists()


def test_a_repository_is_added_and_not_a_deleted_one_of_its_name(cast: Cast) -> None:
    Repository.objects.create(github_id=1, full_name="acme/new", deleted_at=timezone.now())
    Repository.objects.create(github_id=2, full_name="acme/new")
    Repository.objects.create(github_id=3, full_name="acme/new", deleted_at=timezone.now())
    assert "counts acme/new" in words(post(signed_in(cast.operator), "change-repositories", repository="acme/new"))
    assert TeamRepository.objects.get(team=cast.teams["acme"]).repository_id == 2


def test_an_added_repository_is_removed(cast: Cast) -> None:
    TeamRepository.objects.create(team=cast.teams["acme"], repository_id=SECRETS)
    client = signed_in(cast.admin)
    assert "umbrella/secrets" in read(client, SETTINGS)
    assert "no longer counts umbrella/secrets" in words(post(client, "change-repositories", remove=SECRETS))
    assert post(client, "change-repositories", remove=API).status_code == 404
    assert post(client, "change-repositories", remove="x").status_code == 404


def test_a_member_joins_on_a_day_of_the_team_and_leaves_now(cast: Cast) -> None:
    team, client = cast.teams["umbrella"], signed_in(cast.operator)
    Team.objects.filter(pk=team.pk).update(time_zone="Europe/Berlin")
    ana = Contributor.objects.get(github_id=person("ana"))
    assert f"{ana} is a member" in words(
        post(client, "change-members", "umbrella", login=ana.login.upper(), since="2026-03-02")
    )
    member = TeamMember.objects.get(team=team)
    assert member.from_at.isoformat() == "2026-03-01T23:00:00+00:00"  # type: ignore[union-attr]
    assert "already" in words(post(client, "change-members", "umbrella", login=ana.login, since="2026-03-02"))
    assert f"{ana} left" in words(post(client, "change-members", "umbrella", leave=member.pk))
    member.refresh_from_db()
    assert timezone.now() - member.until_at < timedelta(minutes=10)  # type: ignore[operator]
    assert "has ended" in words(post(client, "change-members", "umbrella", leave=member.pk))
    assert "removed" in words(post(client, "change-members", "umbrella", remove=member.pk))
    assert not TeamMember.objects.filter(team=team).exists()


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"login": "nobody-knows-me"}, "No account named"),
        ({"login": ""}, "No account named"),
        ({"login": "ana", "since": "2026-02-30"}, "is not a day"),
        ({"login": "ana", "since": "soon"}, "is not a day"),
        ({"login": "ana", "since": "0001-01-01"}, "is not a day"),
        ({"login": "ana", "since": "9999-12-31"}, "is not a day"),
    ],
)
def test_a_member_that_cannot_be_added_is_refused_in_words(cast: Cast, form: dict[str, str], why: str) -> None:
    known = TeamMember.objects.count()
    assert why in words(post(signed_in(cast.operator), "change-members", **form))
    assert TeamMember.objects.count() == known


def test_a_member_of_another_team_is_not_changed_here(cast: Cast) -> None:
    other = TeamMember.objects.create(team=cast.teams["umbrella"], contributor_id=person("ana"))
    assert post(signed_in(cast.admin), "change-members", remove=other.pk).status_code == 404
    assert TeamMember.objects.filter(pk=other.pk).exists()


def test_who_leaves_does_so_with_all_memberships_that_overlap(cast: Cast) -> None:
    ana, tomorrow = person("ana"), timezone.now() + timedelta(days=1)
    for begun in (None, timezone.now() - timedelta(days=9), tomorrow):
        TeamMember.objects.create(team=cast.teams["umbrella"], contributor_id=ana, from_at=begun)
    first = TeamMember.objects.get(team=cast.teams["umbrella"], from_at=None)
    assert "left Umbrella now" in words(post(signed_in(cast.operator), "change-members", "umbrella", leave=first.pk))
    [left] = TeamMember.objects.filter(team=cast.teams["umbrella"], until_at=None)
    assert left.from_at == tomorrow


def test_a_membership_that_github_keeps_is_not_removed_as_it_would_come_back(cast: Cast) -> None:
    core = GitHubTeam.objects.create(github_id=9001, organization_id=person("acme"), slug="core", name="Core")
    Team.objects.filter(slug="umbrella").update(github_team=core, is_kept_in_step=True)
    team, client = cast.teams["umbrella"], signed_in(cast.operator)
    kept = TeamMember.objects.create(team=team, contributor_id=person("ana"), is_from_github=True)
    assert "Umbrella follows Core on GitHub" in words(post(client, "change-members", "umbrella", remove=kept.pk))
    assert TeamMember.objects.filter(team=team).exists()
    Team.objects.filter(slug="umbrella").update(is_kept_in_step=False)
    assert "was removed" in words(post(client, "change-members", "umbrella", remove=kept.pk))
