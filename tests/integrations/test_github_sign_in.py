"""Who comes from GitHub: anybody, or with GITHUB_SIGN_IN_MEMBERS_ONLY the members of organisations with the App."""

from typing import Any

import pytest
from allauth.core import context
from allauth.socialaccount.internal.flows.login import complete_login
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.test import RequestFactory
from githubkit_schemas.latest import models
from pydantic import TypeAdapter

from apps.activity.models import Contributor, Installation
from apps.demo.shapes import Json
from apps.demo.shapes.accounts import Account, organization, person, user
from apps.github.auth import GitHubAccess
from apps.integrations import github_sign_in
from apps.notifications.invitations import SESSION_KEY
from apps.teams.models import Invitation, Team, TeamAccess
from apps.users.models import CustomUser
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.generated import acme
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA

pytestmark = pytest.mark.django_db
ANA = person(4711, "ana")
OTHERS = Account(501, "beta", "Organization")


@pytest.fixture(autouse=True)
def members_only(settings: Any, worker: GitHubAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting, an App on two organisations, and the fake in GitHub's place."""
    settings.GITHUB_SIGN_IN_MEMBERS_ONLY = True
    monkeypatch.setattr(github_sign_in, "github", lambda: worker)
    for installation_id, account in ((BETA, OTHERS), (ACME, acme())):
        kind = Contributor.Kind.ORGANIZATION
        Contributor.objects.create(github_id=account.id, login=account.login, kind=kind)
        Installation.objects.create(github_id=installation_id, account_id=account.id)


@pytest.fixture(autouse=True)
def world(fake: FakeGitHub) -> FakeGitHub:
    fake.world.install(BETA, OTHERS)
    return fake


def membership(state: str = "active", *, of: Account = ANA) -> Json:
    root = "https://api.github.com/orgs/acme"
    described = {
        "url": f"{root}/memberships/{of.login}",
        "state": state,
        "role": "member",
        "organization_url": root,
        "organization": {**organization(acme())},
        "user": user(of),
    }
    TypeAdapter(models.OrgMembership).validate_python(described)
    return described


def come(
    account: Account = ANA, *, email: str = "", process: str = "login", invitation: int | None = None
) -> HttpResponse:
    """Come back from GitHub as somebody."""
    request = RequestFactory().get("/accounts/github/login/callback/")
    request.user = CustomUser()  # type: ignore[assignment]
    SessionMiddleware(lambda _: HttpResponse()).process_request(request)
    MessageMiddleware(lambda _: HttpResponse()).process_request(request)
    request.session[SESSION_KEY] = invitation
    login = SocialLogin(
        user=CustomUser(username=account.login, email=email),
        account=SocialAccount(provider="github", uid=str(account.id), extra_data=user(account)),
    )
    login.state = {"process": process}
    request.user = type("Anonymous", (), {"is_authenticated": False})()
    with context.request_context(request):
        answer: HttpResponse = complete_login(request, login)
    return answer


def refusal(answer: HttpResponse) -> tuple[int, str]:
    assert not CustomUser.objects.exists()
    assert 'class="top"' in answer.content.decode()
    title = answer.content.decode().partition("<h1>")[2].partition("</h1>")[0]
    return answer.status_code, title


NO_ACCESS = (403, "No access with this GitHub account")
DOUBT = (503, "Membership could not be checked")


def test_a_member_of_one_of_the_organisations_comes_in(fake: FakeGitHub) -> None:
    fake.world.memberships["acme", "ana"] = membership()
    assert come().status_code == 302
    assert CustomUser.objects.get().username == "ana"


@pytest.mark.parametrize(
    "found", [None, membership("pending"), membership(of=person(9, "ana"))], ids=["none", "invited", "another account"]
)
def test_nobody_else_does(fake: FakeGitHub, found: Json | None) -> None:
    if found:
        fake.world.memberships["acme", "ana"] = found
    assert refusal(come()) == NO_ACCESS


def test_somebody_new_who_opened_an_invitation_joins_the_team(fake: FakeGitHub) -> None:
    fake.world.memberships["acme", "ana"] = membership()
    invitation, _ = Invitation.objects.issue(team=Team.objects.create(name="Core", slug="core"), role="lead")
    assert come(invitation=invitation.pk)["Location"] == "/"
    assert TeamAccess.objects.get(user__username="ana").role == "lead"
    assert not Invitation.objects.open().exists()


def test_an_invitation_makes_nobody_a_member(fake: FakeGitHub) -> None:
    invitation, _ = Invitation.objects.issue(team=Team.objects.create(name="Core", slug="core"), role="lead")
    assert refusal(come(invitation=invitation.pk)) == NO_ACCESS
    assert Invitation.objects.open().exists()


def test_without_the_setting_anybody_does(fake: FakeGitHub, settings: Any) -> None:
    settings.GITHUB_SIGN_IN_MEMBERS_ONLY = False
    assert come().status_code == 302
    assert not fake.log


def test_who_left_is_not_let_in_again(fake: FakeGitHub) -> None:
    fake.world.memberships["acme", "ana"] = membership()
    come()
    fake.world.memberships.clear()
    assert come().status_code == 403


@pytest.mark.parametrize("spoilt", ["unanswered", "not permitted", "no key"])
def test_where_github_does_not_say_nobody_comes_in(
    fake: FakeGitHub, spoilt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if spoilt == "unanswered":
        fake.spoil(Fault(faults.status(502), faults.below("/orgs/beta/memberships")))
    elif spoilt == "not permitted":
        fake.world.installations[BETA].permissions = ("metadata",)
    else:
        monkeypatch.undo()
    assert refusal(come()) == DOUBT


def test_an_organisation_that_does_not_answer_keeps_no_member_of_another_out(fake: FakeGitHub) -> None:
    fake.world.installations[BETA].permissions = ("metadata",)
    fake.world.memberships["acme", "ana"] = membership()
    assert come().status_code == 302


def test_a_removed_or_suspended_installation_has_no_members(fake: FakeGitHub) -> None:
    fake.world.memberships["acme", "ana"] = membership()
    Installation.objects.filter(pk=ACME).update(deleted_at="2026-01-01T00:00:00Z")
    assert refusal(come()) == NO_ACCESS
    assert not [one for one in fake.log if "/acme/" in one.path]


def test_the_app_on_an_account_of_a_person_lets_that_person_in() -> None:
    Contributor.objects.create(github_id=ANA.id, login="ana", kind=Contributor.Kind.USER)
    Installation.objects.create(github_id=99, account_id=ANA.id)
    assert come().status_code == 302


def test_no_account_here_is_connected_with_one_on_github(fake: FakeGitHub) -> None:
    fake.world.memberships["acme", "ana"] = membership()
    assert refusal(come(process="connect")) == NO_ACCESS


def test_an_address_that_somebody_has_already_is_left_out(fake: FakeGitHub) -> None:
    fake.world.memberships["acme", "ana"] = membership()
    CustomUser.objects.create_user("other", email="ana@example.com")
    assert come(email="ana@example.com").status_code == 302
    assert CustomUser.objects.get(username="ana").email == ""
