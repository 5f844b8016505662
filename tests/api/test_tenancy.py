"""What is not the user's is not there: 404, never 403; who does not sign in is 401."""

from typing import Any

import pytest
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from apps.activity.models import Contributor, GitHubTeam, Installation, Repository, RepositoryAccess
from apps.integrations.models import Backfill, Drift, SyncLog
from apps.jobs.changes import CHANGES
from apps.teams.models import TeamMember, TeamRepository
from apps.users.models import ApiToken
from apps.webhooks.models import Delivery
from tests.api.conftest import (
    API,
    SECRETS,
    UMBRELLA,
    Cast,
    make_backfill,
    make_delivery,
    make_drift,
    make_report,
    make_sync,
)

pytestmark = pytest.mark.django_db

REPORT = {
    "id": "1",
    "repository": "acme/api",
    "environment": "production",
    "sha": "a" * 40,
    "state": "success",
    "finished_at": "2026-03-03T12:00:00Z",
}
INCIDENT = {"id": "1", "repository": "acme/api", "opened_at": "2026-03-03T12:00:00Z"}
FOREIGN: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("get", "/api/v1/teams/{slug}/", None),
    ("patch", "/api/v1/teams/{slug}/", {"name": "Mine"}),
    ("get", "/api/v1/teams/{slug}/members/", None),
    ("post", "/api/v1/teams/{slug}/members/", {"login": "ana"}),
    ("get", "/api/v1/teams/{slug}/members/{id}/", None),
    ("patch", "/api/v1/teams/{slug}/members/{id}/", {"until_at": None}),
    ("delete", "/api/v1/teams/{slug}/members/{id}/", None),
    ("get", "/api/v1/teams/{slug}/contributors/", None),
    ("get", "/api/v1/teams/{slug}/repositories/", None),
    ("post", "/api/v1/teams/{slug}/repositories/", {"repository_id": API}),
    ("delete", "/api/v1/teams/{slug}/repositories/{repository_id}/", None),
    ("get", "/api/v1/teams/{slug}/figures/", None),
    ("get", "/api/v1/teams/{slug}/hourly-figures/", None),
    ("get", "/api/v1/teams/{slug}/figures/restatements/", None),
    ("get", "/api/v1/teams/{slug}/figures/{key}/", None),
    ("get", "/api/v1/teams/{slug}/figures/{key}/entities/", None),
    ("get", "/api/v1/teams/{slug}/pull-requests/{repository_id}/{number}/explain/", None),
    ("get", "/api/v1/repositories/{github_id}/", None),
    ("get", "/api/v1/pull-requests/{repository_id}/{number}/", None),
    ("get", "/api/v1/deliveries/{id}/", None),
    ("get", "/api/v1/deliveries/{id}/body/", None),
    ("post", "/api/v1/deliveries/{id}/replay/", None),
    ("post", "/api/v1/backfills/", {"repository": "acme/api"}),
    ("get", "/api/v1/backfills/{id}/", None),
    *(("post", f"/api/v1/backfills/{{id}}/{change}/", None) for change in CHANGES),
    ("get", "/api/v1/jobs/{id}/", None),
    *(("post", f"/api/v1/jobs/{{id}}/{change}/", None) for change in CHANGES),
    ("get", "/api/v1/drift/{id}/", None),
    ("get", "/api/v1/syncs/{id}/", None),
    ("get", "/api/v1/syncs/{id}/repositories/", None),
    ("post", "/api/v1/deployments/", REPORT),
    ("post", "/api/v1/incidents/", INCIDENT),
    ("post", "/api/v1/teams/{slug}/previews/", {"kind": "hotfix"}),
    ("post", "/api/v1/github-teams/{github_id}/team/", None),
    ("get", "/api/v1/teams/{slug}/goals/", None),
    ("post", "/api/v1/teams/{slug}/goals/", {"figure": "commits"}),
    ("get", "/api/v1/teams/{slug}/goals/{id}/", None),
    ("patch", "/api/v1/teams/{slug}/goals/{id}/", {"target": 1}),
    ("delete", "/api/v1/teams/{slug}/goals/{id}/", None),
    ("get", "/api/v1/teams/{slug}/access/", None),
    ("get", "/api/v1/teams/{slug}/access/{id}/", None),
    ("patch", "/api/v1/teams/{slug}/access/{id}/", {"role": "lead"}),
    ("delete", "/api/v1/teams/{slug}/access/{id}/", None),
    ("get", "/api/v1/teams/{slug}/invitations/", None),
    ("post", "/api/v1/teams/{slug}/invitations/", {"role": "viewer"}),
    ("delete", "/api/v1/teams/{slug}/invitations/{id}/", None),
)
OF_OPERATORS = (
    ("get", "/api/v1/users/"),
    ("get", "/api/v1/users/{id}/"),
    ("patch", "/api/v1/users/{id}/"),
)
LISTS = (
    "/api/v1/teams/",
    "/api/v1/github-teams/",
    "/api/v1/repositories/",
    "/api/v1/pull-requests/",
    "/api/v1/deployments/",
    "/api/v1/incidents/",
    "/api/v1/deliveries/",
    "/api/v1/backfills/",
    "/api/v1/jobs/",
    "/api/v1/drift/",
    "/api/v1/syncs/",
)


def address(path: str, *, cast: Cast) -> str:
    """The path filled with what belongs to team acme."""
    if "deliveries" in path:
        identity = (Delivery.objects.first() or make_delivery(1)).pk
    elif "syncs" in path:
        identity = (SyncLog.objects.first() or make_sync("manual:acme", API)).pk
    elif "backfills" in path or "jobs" in path:
        identity = (Backfill.objects.first() or make_backfill()).pk
    elif "drift" in path:
        identity = (Drift.objects.first() or make_drift()).pk
    else:
        member, _ = TeamMember.objects.get_or_create(
            team=cast.teams["acme"], contributor=Contributor.objects.get(login="cy")
        )
        identity = member.pk
    TeamRepository.objects.get_or_create(team=cast.teams["acme"], repository_id=API)
    return path.format(slug="acme", id=identity, repository_id=API, github_id=API, number=1, key="commits")


def send(client: APIClient, method: str, path: str, body: dict[str, Any] | None) -> Any:
    return getattr(client, method)(path, body, format="json") if body else getattr(client, method)(path)


def test_rows_of_other_teams_are_404(week: Cast) -> None:
    client = week.client(week.stranger)
    answers = {(method, path): send(client, method, address(path, cast=week), body) for method, path, body in FOREIGN}
    assert {operation: answer.status_code for operation, answer in answers.items()} == dict.fromkeys(answers, 404)
    assert all(set(answer.json()) == {"detail", "code"} for answer in answers.values())


def test_strangers_to_the_instance_are_asked_to_sign_in(week: Cast) -> None:
    client = APIClient()
    answers = {(method, path): send(client, method, address(path, cast=week), body) for method, path, body in FOREIGN}
    assert {operation: answer.status_code for operation, answer in answers.items()} == dict.fromkeys(answers, 401)
    assert all(answer["WWW-Authenticate"] == "Bearer" for answer in answers.values())


@pytest.mark.parametrize("path", LISTS)
def test_lists_require_a_sign_in_and_contain_nothing_of_others(week: Cast, path: str) -> None:
    make_delivery(1)
    make_delivery(2, repository_id=SECRETS)
    make_backfill()
    make_backfill(SECRETS)
    make_drift()
    make_drift(SECRETS)
    make_sync("manual:acme", API)
    make_sync("manual:umbrella", SECRETS)
    make_report()
    make_report(SECRETS)
    GitHubTeam.objects.create(github_id=9001, organization=week.teams["acme"].account, name="Core")
    GitHubTeam.objects.create(github_id=9002, organization_id=UMBRELLA, name="Core")
    assert APIClient().get(path).status_code == 401
    mine, theirs = (week.client(user).get(path).json()["results"] for user in (week.viewer, week.stranger))
    assert mine
    assert [row for row in theirs if row in mine] == []


def test_the_matrix_names_every_operation() -> None:
    paths = SchemaGenerator().get_schema(public=True)["paths"]  # type: ignore[no-untyped-call]
    described = {(method, path) for path, methods in paths.items() for method in methods}
    assert described == {(method, path) for method, path, _ in FOREIGN} | {("get", path) for path in LISTS} | set(
        OF_OPERATORS
    )


def test_filtering_by_another_team_finds_nothing(week: Cast) -> None:
    client = week.client(week.stranger)
    for path in ("/api/v1/pull-requests/?team=acme", "/api/v1/repositories/?team=acme"):
        assert client.get(path).json()["count"] == 0


@pytest.fixture
def access(cast: Cast) -> RepositoryAccess:
    """Umbrella's installation reaches its repository."""
    installation = Installation.objects.create(github_id=5, account_id=UMBRELLA)
    return RepositoryAccess.objects.create(installation=installation, repository_id=SECRETS, has_access=True)


def sees_secrets(cast: Cast) -> tuple[int, int]:
    """What umbrella's team gets for the repository and for a delivery about it."""
    delivery = Delivery.objects.first() or make_delivery(1, repository_id=SECRETS)
    paths = (f"/api/v1/repositories/{SECRETS}/", f"/api/v1/deliveries/{delivery.pk}/")
    repository, of_it = (cast.client(cast.stranger).get(path).status_code for path in paths)
    return repository, of_it


def test_a_repository_that_was_transferred_away_is_its_new_accounts(cast: Cast, access: RepositoryAccess) -> None:
    RepositoryAccess.objects.update(has_access=False)
    assert sees_secrets(cast) == (200, 200)  # its account's still
    Repository.objects.filter(pk=SECRETS).update(owner=cast.teams["acme"].account)
    assert sees_secrets(cast) == (404, 404)
    assert cast.client(cast.viewer).get(f"/api/v1/repositories/{SECRETS}/").status_code == 200


def test_access_ends_with_the_installation(cast: Cast, access: RepositoryAccess) -> None:
    Repository.objects.filter(pk=SECRETS).update(owner=cast.teams["acme"].account)
    assert sees_secrets(cast) == (200, 200)  # the news of its going has not come yet
    Installation.objects.update(deleted_at=timezone.now())
    assert sees_secrets(cast) == (404, 404)


def test_a_repository_without_a_known_owner_is_visible_to_every_account_that_had_access(
    cast: Cast, access: RepositoryAccess
) -> None:
    Repository.objects.filter(pk=SECRETS).update(owner=None)
    RepositoryAccess.objects.update(has_access=False)
    assert sees_secrets(cast) == (200, 200)


def test_a_viewer_may_look_and_not_change(week: Cast) -> None:
    client = week.client(week.viewer)
    assert client.get("/api/v1/teams/acme/").status_code == 200
    for method, path, body in FOREIGN[:11]:
        if method != "get":
            answer = send(client, method, address(path, cast=week), body)
            assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_bodies_and_replays_are_for_operators(week: Cast) -> None:
    delivery = make_delivery(1)
    for user, expected in ((week.admin, (403, 403)), (week.operator, (200, 202))):
        client = week.client(user)
        got = client.get(f"/api/v1/deliveries/{delivery.pk}/body/").status_code
        posted = client.post(f"/api/v1/deliveries/{delivery.pk}/replay/").status_code
        assert (got, posted) == expected


def test_a_session_writes_only_with_its_csrf_token(week: Cast) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(week.admin, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.patch("/api/v1/teams/acme/", {"name": "Acme"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    client.get("/")
    token = client.cookies["csrftoken"].value
    answer = client.patch("/api/v1/teams/acme/", {"name": "Acme"}, format="json", HTTP_X_CSRFTOKEN=token)
    assert answer.status_code == 200


def test_a_token_of_an_inactive_user_is_rejected(week: Cast) -> None:
    client = week.client(week.viewer)
    week.viewer.is_active = False
    week.viewer.save()
    assert client.get("/api/v1/teams/").status_code == 401


@pytest.mark.parametrize("header", ["Bearer", "Bearer tf_wrong", "Token tf_wrong more", "Bearer \xff", "Bearer tf\x00"])
def test_a_wrong_token_is_401_and_says_no_more(week: Cast, header: str) -> None:
    answer = APIClient().get("/api/v1/teams/", HTTP_AUTHORIZATION=header)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "The token is unknown, expired or revoked."


def test_a_token_cannot_be_read_from_the_database(week: Cast) -> None:
    _, secret = ApiToken.objects.issue(user=week.viewer)
    row = str(ApiToken.objects.values().first())
    assert secret not in row
    assert secret[:9] in row
