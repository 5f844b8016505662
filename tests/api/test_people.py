"""People over the API: roles and invitations of a team for its admins, users for operators."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.teams.models import Invitation, TeamAccess
from tests.api.conftest import Cast

pytestmark = pytest.mark.django_db
TEAM = "/api/v1/teams/acme/"
ACCESS, INVITATIONS, USERS = f"{TEAM}access/", f"{TEAM}invitations/", "/api/v1/users/"


@pytest.fixture
def admin(cast: Cast) -> APIClient:
    return cast.client(cast.admin)


def of_viewer(cast: Cast) -> str:
    return f"{ACCESS}{TeamAccess.objects.get(team__slug='acme', user=cast.viewer).pk}/"


def test_an_admin_changes_roles_and_removes_access(cast: Cast, admin: APIClient) -> None:
    roles = {row["username"]: row["role"] for row in admin.get(ACCESS).json()["results"]}
    assert roles == {"admin": "admin", "viewer": "viewer"}
    answer = admin.patch(of_viewer(cast), {"role": "lead"}, format="json")
    assert (answer.status_code, answer.json()["role"]) == (200, "lead")
    assert admin.patch(of_viewer(cast), {"role": "owner"}, format="json").status_code == 400
    assert admin.delete(of_viewer(cast)).status_code == 204
    assert cast.client(cast.viewer).get(TEAM).status_code == 404


def test_the_only_admin_of_a_team_stays_one(cast: Cast, admin: APIClient) -> None:
    own = f"{ACCESS}{TeamAccess.objects.get(team__slug='acme', user=cast.admin).pk}/"
    for answer in (admin.patch(own, {"role": "viewer"}, format="json"), admin.delete(own)):
        assert (answer.status_code, answer.json()["code"]) == (409, "access_refused")
        assert "the only admin" in answer.json()["detail"]


def test_others_read_who_has_access_and_change_nothing(cast: Cast) -> None:
    viewer = cast.client(cast.viewer)
    assert viewer.get(ACCESS).status_code == 200
    assert viewer.patch(of_viewer(cast), {"role": "admin"}, format="json").status_code == 403
    assert viewer.get(INVITATIONS).status_code == 403
    assert viewer.post(INVITATIONS, {"role": "admin"}, format="json").status_code == 403


def test_an_invitation_has_its_link_once_and_is_revoked(cast: Cast, admin: APIClient) -> None:
    made = admin.post(INVITATIONS, {"role": "viewer"}, format="json")
    assert made.status_code == 201
    assert "/invitations/" in made.json()["url"]
    [listed] = admin.get(INVITATIONS).json()["results"]
    assert (listed["id"], listed["url"], listed["invited_by"]) == (made.json()["id"], None, "admin")
    assert admin.delete(f"{INVITATIONS}{listed['id']}/").status_code == 204
    assert not Invitation.objects.open().exists()
    assert admin.delete(f"{INVITATIONS}{listed['id']}/").status_code == 404


def test_a_mail_that_cannot_be_sent_is_refused(admin: APIClient, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    answer = admin.post(INVITATIONS, {"role": "viewer", "email": "ana@example.com"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "access_refused")


def test_operators_deactivate_users_whose_tokens_then_end(cast: Cast) -> None:
    operator, viewer = cast.client(cast.operator), cast.client(cast.viewer)
    address = f"{USERS}{cast.viewer.pk}/"
    assert operator.patch(address, {"is_active": False}, format="json").json()["is_active"] is False
    assert viewer.get(TEAM).status_code == 401
    assert operator.patch(address, {"is_active": True}, format="json").json()["is_active"] is True
    assert viewer.get(TEAM).status_code == 200
    own = operator.patch(f"{USERS}{cast.operator.pk}/", {"is_active": False}, format="json")
    assert (own.status_code, own.json()["code"]) == (409, "access_refused")
    assert operator.patch(address, {"username": "other"}, format="json").status_code == 400


def test_users_are_for_operators_alone(cast: Cast, admin: APIClient) -> None:
    assert len(cast.client(cast.operator).get(USERS).json()["results"]) == 4
    assert admin.get(USERS).status_code == 403
    assert admin.patch(f"{USERS}{cast.viewer.pk}/", {"is_active": False}, format="json").status_code == 403
    assert APIClient().get(USERS).status_code == 401
