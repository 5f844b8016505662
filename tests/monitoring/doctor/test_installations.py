"""Doctor's checks of installations, their rate limits and senders."""

from typing import Any

import pytest

from apps.demo.shapes.accounts import EVENTS, PERMISSIONS, Account
from apps.github.auth import GitHubAccess
from apps.integrations.discovery import find_installations
from apps.monitoring.doctor.installations import check_installations
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA
from tests.monitoring.doctor.conftest import found_by
from tests.webhooks.conftest import GitHub

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credentials")]
PERSON = Account(502, "ana")


def look(worker: GitHubAccess) -> dict[str, Any]:
    return found_by(check_installations, worker)


def test_a_healthy_installation_passes_every_check(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    found = look(worker)
    assert (found["installations"].result, found["installations"].found) == ("ok", "1. All permissions granted.")
    assert (found["rate limits"].result, "acme: core 5,000" in found["rate limits"].found) == ("ok", True)


def test_an_account_that_has_not_accepted_new_permissions(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    fake.world.installations[ACME].permissions = ("contents", "metadata")
    check = look(worker)["installations"]
    assert check.result == "failed"
    assert "On acme the App lacks permissions Actions, Deployments, Issues, Members, Pull requests" in check.found
    assert f"/organizations/acme/settings/installations/{ACME}" in check.found


def test_a_personal_account_needs_no_members_permission(fake: FakeGitHub, worker: GitHubAccess) -> None:
    truth = fake.world.install(BETA, PERSON)
    truth.permissions = tuple(sorted(set(PERMISSIONS) - {"members"}))
    truth.events = tuple(sorted(set(EVENTS) - {"member", "membership", "organization", "team"}))
    find_installations(access=worker)
    assert look(worker)["installations"].result == "ok"


def test_installations_that_wait_are_suspended_or_new_are_counted(
    fake: FakeGitHub, worker: GitHubAccess, settings: Any
) -> None:
    settings.ALLOWED_ACCOUNTS = ["acme"]
    fake.world.install(BETA, Account(501, "stranger", "Organization"))
    find_installations(access=worker)
    fake.world.install(9, Account(503, "late", "Organization"))
    fake.world.install(10, Account(504, "asleep", "Organization"))
    fake.world.suspend(10)
    check = look(worker)["installations"]
    assert check.result == "warning"
    assert check.found == "4 (1 suspended, 1 waiting for approval, 1 not known here yet)."
    assert set(fake.identities.minted) == {ACME}, "nothing of the others is asked"


def test_a_limit_that_is_nearly_spent(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    fake.limits.leave(ACME, "graphql", remaining=40)
    check = look(worker)["rate limits"]
    assert (check.result, "graphql 40" in check.found) == ("warning", True)


def test_a_server_without_limits(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.limits.limit = None
    find_installations(access=worker)
    assert look(worker)["rate limits"].found == "Left this hour: acme: without limits."


def test_an_account_that_gives_no_token(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    fake.world.suspend(ACME)
    check = look(worker)["rate limits"]
    assert check.result == "failed"
    assert "suspended" in check.found


@pytest.mark.parametrize(
    ("hooks", "address", "result"),
    [
        (["192.30.252.0/22", "2a0a:a440::/29"], "192.30.253.9", "ok"),
        (["192.30.252.0/22", "2a0a:a440::/29"], "2a0a:a440::1", "ok"),
        (["192.30.252.0/22"], "10.0.0.5", "warning"),
        (["192.30.252.0/22"], "2a0a:a440::1", "warning"),
        (None, "10.0.0.5", "not checked"),
    ],
)
def test_the_addresses_of_senders_are_compared_with_those_of_github(
    fake: FakeGitHub, worker: GitHubAccess, hooks: list[str] | None, address: str, result: str
) -> None:
    find_installations(access=worker)
    fake.rest.hooks = hooks
    assert GitHub().deliver(event="ping", environ={"REMOTE_ADDR": address}).status_code == 202
    check = look(worker)["senders"]
    assert check.result == result
    assert result == "not checked" or address in check.found


def test_behind_a_trusted_proxy_the_sender_is_who_the_proxy_names(
    fake: FakeGitHub, worker: GitHubAccess, settings: Any
) -> None:
    find_installations(access=worker)
    settings.TRUSTED_PROXIES = ["10.0.0.5"]
    through = {"REMOTE_ADDR": "10.0.0.5", "HTTP_X_FORWARDED_FOR": "192.30.253.9"}
    assert GitHub().deliver(event="ping", environ=through).status_code == 202
    assert look(worker)["senders"].result == "ok"


def test_without_a_delivery_there_is_no_sender_to_compare(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    assert look(worker)["senders"].result == "not checked"


def test_an_app_that_is_installed_nowhere(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.world.installations.clear()
    assert look(worker)["installations"].result == "warning"


def test_a_github_that_does_not_answer_stops_the_family(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.spoil(Fault(faults.status(502), faults.below("/app"), times=None))
    assert "does not answer" in look(worker)["stopped"].found
