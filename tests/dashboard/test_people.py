"""Who has access to a team: everybody of it sees that, its admins decide it, and nobody else."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.activity.models import Contributor, GitHubMembership, GitHubTeam, GitHubTeamEvent
from apps.notifications.models import Notification
from apps.teams.models import Invitation, Team, TeamAccess
from apps.users.models import ApiToken, CustomUser
from tests.api.conftest import Cast
from tests.dashboard.test_pages import read, signed_in

pytestmark = pytest.mark.django_db
POSTS = ("invite-person", "revoke-invitation", "change-access", "make-team", "change-step")


def access_of(user: CustomUser) -> TeamAccess:
    return TeamAccess.objects.get(user=user)


def post(client: Client, name: str, team: str = "acme", **form: Any) -> Any:
    return client.post(reverse(name, args=[team]), form)


def words(answer: Any) -> str:
    """Return what the page says after a form was sent."""
    assert answer.status_code == 302, answer.status_code
    return re.sub(r"\s+", " ", answer.client.get(answer["Location"]).content.decode())


def test_an_admin_sees_who_has_access_and_may_change_it(cast: Cast) -> None:
    page = read(signed_in(cast.admin), "/people/")
    assert "Who has access to acme" in page
    assert "viewer" in page
    assert "Invite somebody" in page
    assert "umbrella" not in page.lower()
    assert "stranger" not in page


def test_a_viewer_sees_who_to_ask_and_no_form(cast: Cast) -> None:
    CustomUser.objects.filter(pk=cast.admin.pk).update(email="admin@acme.example")
    page = read(signed_in(cast.viewer), "/people/")
    assert "admin" in page
    assert "admin@acme.example" not in page
    assert "Invite somebody" not in page
    assert page.count("<form") == 1, "which signs out"


@pytest.mark.parametrize("name", POSTS)
def test_a_viewer_and_a_lead_change_nothing(cast: Cast, name: str) -> None:
    for role in ("viewer", "lead"):
        TeamAccess.objects.filter(user=cast.viewer).update(role=role)
        form = {"role": "admin", "access": access_of(cast.viewer).pk, "invitation": 1, "github_team": 1}
        assert post(signed_in(cast.viewer), name, **form).status_code == 403
    assert not Invitation.objects.exists()
    assert access_of(cast.viewer).role == "lead"


@pytest.mark.parametrize("name", POSTS)
def test_another_team_is_404(cast: Cast, name: str) -> None:
    form = {"role": "admin", "access": access_of(cast.stranger).pk, "invitation": 1, "github_team": 1}
    assert post(signed_in(cast.admin), name, "umbrella", **form).status_code == 404
    assert signed_in(cast.admin).get("/people/?team=umbrella").status_code == 404
    assert not Invitation.objects.filter(team=cast.teams["umbrella"]).exists()


def test_the_access_of_another_team_is_not_changed_through_ones_own(cast: Cast) -> None:
    theirs = access_of(cast.stranger)
    assert post(signed_in(cast.admin), "change-access", access=theirs.pk, role="viewer").status_code == 404
    assert post(signed_in(cast.admin), "change-access", access=theirs.pk, remove="").status_code == 404
    foreign, _ = Invitation.objects.issue(team=cast.teams["umbrella"], role="viewer")
    assert "already accepted, revoked or expired" in words(
        post(signed_in(cast.admin), "revoke-invitation", invitation=foreign.pk)
    )
    assert Invitation.objects.open().count() == 1


def test_forms_of_nobody_and_by_get_are_refused(cast: Cast) -> None:
    for name in POSTS:
        assert post(Client(), name).status_code == 302
        assert signed_in(cast.admin).get(reverse(name, args=["acme"])).status_code == 405
        client = Client(enforce_csrf_checks=True)
        client.force_login(cast.admin, backend="django.contrib.auth.backends.ModelBackend")
        assert post(client, name).status_code == 403


def test_a_role_is_changed_and_access_taken(cast: Cast) -> None:
    client, access = signed_in(cast.admin), access_of(cast.viewer)
    assert "viewer is now lead of acme" in words(post(client, "change-access", access=access.pk, role="lead"))
    assert access_of(cast.viewer).role == "lead"
    assert "no role" in words(post(client, "change-access", access=access.pk, role="operator"))
    assert not CustomUser.objects.get(pk=cast.viewer.pk).is_superuser
    assert "no longer has access" in words(post(client, "change-access", access=access.pk, remove=""))
    assert signed_in(cast.viewer).get("/people/?team=acme").status_code == 404


def test_the_only_admin_stays_unless_an_operator_says_otherwise(cast: Cast) -> None:
    client, access = signed_in(cast.admin), access_of(cast.admin)
    for form in ({"role": "viewer"}, {"remove": ""}):
        assert "is the only admin of acme" in words(post(client, "change-access", access=access.pk, **form))
    assert access_of(cast.admin).role == "admin"
    post(signed_in(cast.operator), "change-access", access=access.pk, role="viewer")
    assert access_of(cast.admin).role == "viewer"


def test_no_form_makes_an_operator(cast: Cast) -> None:
    form = {"is_superuser": "on", "is_staff": "on", "role": "admin", "access": access_of(cast.viewer).pk}
    post(signed_in(cast.admin), "change-access", **form)
    assert CustomUser.objects.filter(is_superuser=True).count() == 1


def test_what_a_lead_may_do(cast: Cast) -> None:
    TeamAccess.objects.filter(user=cast.viewer).update(role="lead")
    lead, goal = (
        cast.client(cast.viewer),
        {"figure": "lead_time", "direction": "at_most", "target": 1, "from_day": "2026-03-02"},
    )
    assert lead.get("/api/v1/teams/acme/").json()["role"] == "lead"
    assert lead.post("/api/v1/teams/acme/goals/", goal).status_code == 201
    assert lead.get("/api/v1/teams/acme/figures/?group_by=author").status_code == 200
    assert lead.patch("/api/v1/teams/acme/", {"name": "Mine"}).status_code == 403
    assert lead.post("/api/v1/teams/acme/members/", {"login": "ana"}).status_code == 403
    assert lead.post("/api/v1/backfills/", {"team": "acme"}).status_code in (403, 404)


def test_a_team_on_github_becomes_a_team_with_one_click(cast: Cast) -> None:
    account = cast.teams["acme"].account
    core = GitHubTeam.objects.create(github_id=9001, slug="core", name="Core", organization=account)
    ben = Contributor.objects.create(github_id=502777, login="ben-of-core")
    GitHubMembership.objects.create(
        scope=GitHubMembership.Scope.TEAM, scope_id=core.pk, contributor=ben, is_member=True
    )
    joined_at = "2026-03-02T09:00:00Z"
    GitHubTeamEvent.objects.create(team_id=core.pk, contributor=ben, is_member=True, at=joined_at)
    client = signed_in(cast.admin)
    assert "ben-of-core" in read(client, "/people/")
    assert "Team Core was created" in words(post(client, "make-team", github_team=core.pk))
    assert TeamAccess.objects.get(team__slug="core").user == cast.admin
    assert "Teams on GitHub" not in read(client, "/people/?team=acme")
    assert "changes nothing here" in read(client, "/people/?team=core")
    kept = post(client, "change-step", "core", is_kept_in_step="yes")
    assert "joins or leaves Core" in words(kept)
    assert Team.objects.get(slug="core").is_kept_in_step
    assert "no longer follows" in words(post(client, "change-step", "core", is_kept_in_step="no"))
    assert post(client, "change-step", "acme", is_kept_in_step="yes").status_code == 404


def test_a_team_is_kept_in_step_with_github_where_its_box_is_ticked(cast: Cast) -> None:
    core = GitHubTeam.objects.create(github_id=9001, slug="core", name="Core", organization=cast.teams["acme"].account)
    ben = Contributor.objects.create(github_id=502777, login="ben-of-core")
    GitHubTeamEvent.objects.create(team_id=core.pk, contributor=ben, is_member=True, at="2026-03-02T09:00:00Z")
    post(signed_in(cast.admin), "make-team", github_team=core.pk, is_kept_in_step="on")
    assert Team.objects.get(slug="core").is_kept_in_step


def test_an_operator_approves_a_team_that_came_with_an_installation(cast: Cast) -> None:
    Team.objects.filter(slug="acme").update(is_approved=False)
    assert "waits for approval" in read(signed_in(cast.operator), "/people/?team=acme")
    for user in (cast.admin, cast.viewer):
        assert signed_in(user).post("/people/acme/approve/").status_code == 404
    answer = signed_in(cast.operator).post("/people/acme/approve/", follow=True)
    assert "acme is approved" in answer.content.decode()
    assert "Who has access to acme" in read(signed_in(cast.admin), "/people/?team=acme")


def test_few_queries_however_many_people(cast: Cast) -> None:
    users = CustomUser.objects.bulk_create(CustomUser(username=f"user{number}", password="!") for number in range(120))
    TeamAccess.objects.bulk_create(TeamAccess(team=cast.teams["acme"], user=user) for user in users)
    for _ in range(60):
        Invitation.objects.issue(team=cast.teams["acme"], role="viewer", by=cast.admin)
    for user, address in ((cast.admin, "/people/"), (cast.operator, "/people/users/"), (cast.admin, "/account/")):
        client = signed_in(user)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = client.get(address)
        assert len(queries) <= 12, [one["sql"] for one in queries]
        assert len(answer.content) < 150_000


class TestUsers:
    """All users, for operators."""

    def test_operators_see_all_and_nobody_else_any(self, cast: Cast) -> None:
        page = read(signed_in(cast.operator), "/people/users/")
        assert "stranger" in page
        assert "Umbrella" in page
        for user in (cast.admin, cast.viewer):
            assert signed_in(user).get("/people/users/").status_code == 404
            assert signed_in(user).post("/people/users/change/", {"user": cast.viewer.pk}).status_code == 404

    def test_the_list_is_narrowed(self, cast: Cast) -> None:
        client = signed_in(cast.operator)
        page = read(client, "/people/users/?search=stran")
        assert "stranger" in page
        assert ">viewer " not in page
        assert "No user found" in read(client, "/people/users/?show=deactivated")
        assert client.get("/people/users/?show=strange").status_code == 404

    def test_who_is_deactivated_is_signed_out_and_their_tokens_die(self, cast: Cast) -> None:
        browser, program = signed_in(cast.viewer), cast.client(cast.viewer)
        invitation, _ = Invitation.objects.issue(team=cast.teams["acme"], role="viewer", by=cast.admin)
        assert program.get("/api/v1/teams/").status_code == 200
        operator = signed_in(cast.operator)
        for user in (cast.viewer, cast.admin):
            operator.post("/people/users/change/", {"user": user.pk, "change": "deactivate"})
        assert browser.get("/").status_code == 302
        assert program.get("/api/v1/teams/").status_code == 401
        assert not Invitation.objects.open().filter(pk=invitation.pk).exists(), "of somebody who is gone"
        operator.post("/people/users/change/", {"user": cast.viewer.pk, "change": "activate"})
        assert signed_in(cast.viewer).get("/").status_code == 200

    def test_nobody_deactivates_themselves(self, cast: Cast) -> None:
        client = signed_in(cast.operator)
        answer = client.post("/people/users/change/", {"user": cast.operator.pk, "change": "deactivate"})
        assert "cannot deactivate yourself" in words(answer)


class TestCommands:
    """What the page does, on the command line."""

    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command(*arguments, stdout=out, stderr=out)
        return out.getvalue()

    def test_team_access(self, cast: Cast) -> None:
        assert "stranger: umbrella (admin)" in self.run("team_access")
        self.run("team_access", "viewer", "--team", "umbrella", "--role", "lead")
        assert TeamAccess.objects.get(user=cast.viewer, team__slug="umbrella").role == "lead"
        self.run("team_access", "viewer", "--team", "umbrella", "--remove")
        assert TeamAccess.objects.filter(user=cast.viewer).count() == 1
        self.run("team_access", "viewer", "--deactivate")
        assert "viewer: acme (viewer), deactivated" in self.run("team_access")
        self.run("team_access", "viewer", "--activate")
        assert CustomUser.objects.get(pk=cast.viewer.pk).is_active
        for arguments in (["nobody"], ["viewer"], ["viewer", "--team", "none", "--remove"]):
            with pytest.raises(CommandError):
                self.run("team_access", *arguments)

    def test_invite(self, cast: Cast) -> None:
        link = self.run("invite", "acme", "--role", "lead").strip()
        assert re.search(r"/invitations/[\w-]{43}/$", link)
        [number] = re.findall(r"^(\d+) lead by link, by the command line", self.run("invite", "acme", "--list"))
        self.run("invite", "acme", "--revoke", number)
        assert self.run("invite", "acme", "--list") == ""
        for arguments in (["none"], ["acme", "--revoke", number], ["acme", "--email", "no address"]):
            with pytest.raises(CommandError):
                self.run("invite", *arguments)


def test_the_author_of_an_invitation_hears_of_it(cast: Cast) -> None:
    _, secret = Invitation.objects.issue(team=cast.teams["acme"], role="lead", by=cast.admin)
    client = signed_in(cast.viewer)
    client.get(reverse("invitation", args=[secret]))
    client.post("/invitation/")
    assert access_of(cast.viewer).role == "lead"
    assert (
        Notification.objects.get(user=cast.admin).message == "viewer accepted your invitation and is now lead of acme."
    )
    assert not ApiToken.objects.exists()
    assert Team.objects.led_by(cast.viewer).get().slug == "acme"
