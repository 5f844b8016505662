"""Doctor's checks of the App at GitHub, of installations, their rate limits and senders."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.utils import timezone

from apps.demo.scenario import Sent
from apps.demo.shapes.accounts import EVENTS, PERMISSIONS, Account
from apps.github.auth import GitHubAccess
from apps.integrations.discovery import find_installations
from apps.monitoring.doctor.github import check_app, impatient_access
from apps.monitoring.doctor.installations import check_installations
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA
from tests.monitoring.doctor.conftest import found_by
from tests.webhooks.conftest import GitHub

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("credentials")]


def look(access: GitHubAccess | None = None) -> dict[str, Any]:
    return found_by(check_app, access or impatient_access())


def log_of(fake: FakeGitHub, *statuses: int) -> DeliveryLog:
    """Deliveries that were answered so, the oldest first."""
    left = list(statuses)
    log = DeliveryLog(post=lambda sent: left.pop(0), address=lambda: fake.url)
    fake.app.extensions.append(log.answer)
    now = timezone.now()
    log.deliver(Sent("push", {}, now, f"guid-{number}") for number in range(len(statuses)))
    return log


def test_a_healthy_app_passes_every_check(fake: FakeGitHub) -> None:
    log_of(fake, 202, 202)
    found = look()
    assert {name: check.result for name, check in found.items()} == {
        "github credentials": "ok",
        "github clock": "ok",
        "app permissions": "ok",
        "webhook": "ok",
        "deliveries at github": "ok",
    }, found
    assert found["github credentials"].found == "App tformance (412233) of acme."
    assert found["deliveries at github"].found == "2 of the last 2 arrived."


def test_missing_credentials_are_a_warning_and_github_is_not_asked(fake: FakeGitHub, settings: Any) -> None:
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = None, ""
    found = look()
    assert found["github credentials"].result == "warning"
    assert found["stopped"].found == "There are no credentials for GitHub."
    assert fake.log == []


def test_the_key_of_another_app_is_rejected(settings: Any) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    settings.GITHUB_APP_PRIVATE_KEY = pem
    check = look()["github credentials"]
    assert check.result == "failed"
    assert "rejects the private key of App 412233" in check.found
    assert "new private key" in check.advice


def test_a_private_key_that_is_not_a_key_fails_without_a_request(fake: FakeGitHub, settings: Any) -> None:
    settings.GITHUB_APP_PRIVATE_KEY = "hunter2"
    check = look()["github credentials"]
    assert (check.result, "hunter2" in check.found) == ("failed", False)
    assert fake.log == []


def test_an_unknown_app_id_is_named(settings: Any) -> None:
    settings.GITHUB_APP_ID = 99
    check = look()["github credentials"]
    assert check.result == "failed"
    assert "has no App 99" in check.found


def test_a_wrong_clock_is_named_as_the_cause(fake: FakeGitHub) -> None:
    fake.clock.wind(-600)  # type: ignore[attr-defined]
    found = look()
    assert found["github credentials"].result == "failed"
    assert "clock" in found["github credentials"].advice
    assert found["github clock"].result == "failed"
    assert "ahead of GitHub's" in found["github clock"].found


@pytest.mark.parametrize("trouble", [faults.hang_up(), faults.status(502)])
def test_a_github_that_does_not_answer(fake: FakeGitHub, trouble: Any) -> None:
    fake.spoil(Fault(trouble, lambda asked: True, times=None))
    found = look()
    assert found["github credentials"].result == "failed"
    assert "GitHub does not answer" in found["github credentials"].found
    assert "GitHub does not answer" in found["stopped"].found


def test_a_rate_limit_is_not_a_failure(fake: FakeGitHub) -> None:
    fake.spoil(Fault(faults.secondary(retry_after_s=60), lambda asked: asked.path == "/app"))
    assert look()["github credentials"].result == "not checked"


def test_missing_permissions_and_events_are_named_as_github_names_them(fake: FakeGitHub) -> None:
    fake.app.permissions, fake.app.events = fake.app.permissions[1:], fake.app.events[:-1]
    check = look()["app permissions"]
    assert check.result == "failed"
    assert "lacks permission Actions; event Workflow run" in check.found
    fake.app.permissions = (*fake.app.permissions, "actions", "checks")
    fake.app.events = (*fake.app.events, "workflow_run", "star")
    assert look()["app permissions"].found.endswith("More than needed: Checks, Star.")


@pytest.mark.parametrize(
    ("hook", "result", "words"),
    [
        ({"url": "https://tf.example.com/webhooks/github"}, "ok", "signed"),
        ({"url": "https://old.example.com/webhooks/github/"}, "failed", "old.example.com"),
        ({"url": None}, "failed", "no webhook"),
        ({"secret": None}, "failed", "no secret"),
        ({"insecure_ssl": "1"}, "warning", "certificate"),
    ],
)
def test_the_webhook(fake: FakeGitHub, hook: dict[str, Any], result: str, words: str) -> None:
    fake.app.hook |= hook
    check = look()["webhook"]
    assert check.result == result
    assert words in check.found


def test_on_a_local_machine_the_webhook_may_be_a_tunnel(fake: FakeGitHub, settings: Any) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    fake.app.hook["url"] = "https://smee.io/abc"
    assert look()["webhook"].result == "warning"


@pytest.mark.parametrize(
    ("statuses", "result", "words"),
    [
        ((202, 401), "failed", "secret at GitHub is unknown here"),
        ((202, 404), "failed", "URL is wrong"),
        ((202, 0), "failed", "could not connect"),
        ((500, 202), "warning", "could not connect"),
    ],
)
def test_failed_deliveries_are_explained(fake: FakeGitHub, statuses: tuple[int, ...], result: str, words: str) -> None:
    log_of(fake, *statuses)
    check = look()["deliveries at github"]
    assert check.result == result
    assert words in check.advice


def test_a_redelivery_that_arrived_counts_as_arrived(fake: FakeGitHub) -> None:
    log = log_of(fake, 503, 202)
    log.deliver([log.attempts[0].sent], post=lambda sent: 202)
    assert look()["deliveries at github"].result == "ok"


def test_an_empty_delivery_log_is_not_checked(fake: FakeGitHub) -> None:
    log_of(fake)
    assert look()["deliveries at github"].result == "not checked"


PERSON = Account(502, "ana")


def look_at_installations(worker: GitHubAccess) -> dict[str, Any]:
    return found_by(check_installations, worker)


def test_a_healthy_installation_passes_every_check(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    found = look_at_installations(worker)
    assert (found["installations"].result, found["installations"].found) == ("ok", "1. All permissions granted.")
    assert (found["rate limits"].result, "acme: core 5,000" in found["rate limits"].found) == ("ok", True)


def test_an_account_that_has_not_accepted_new_permissions(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    fake.world.installations[ACME].permissions = ("contents", "metadata")
    check = look_at_installations(worker)["installations"]
    assert check.result == "failed"
    assert "On acme the App lacks permissions Actions, Deployments, Issues, Members, Pull requests" in check.found
    assert f"/organizations/acme/settings/installations/{ACME}" in check.found


def test_a_personal_account_needs_no_members_permission(fake: FakeGitHub, worker: GitHubAccess) -> None:
    truth = fake.world.install(BETA, PERSON)
    truth.permissions = tuple(sorted(set(PERMISSIONS) - {"members"}))
    truth.events = tuple(sorted(set(EVENTS) - {"member", "membership", "organization", "team"}))
    find_installations(access=worker)
    assert look_at_installations(worker)["installations"].result == "ok"


def test_installations_that_wait_are_suspended_or_new_are_counted(
    fake: FakeGitHub, worker: GitHubAccess, settings: Any
) -> None:
    settings.ALLOWED_ACCOUNTS = ["acme"]
    fake.world.install(BETA, Account(501, "stranger", "Organization"))
    find_installations(access=worker)
    fake.world.install(9, Account(503, "late", "Organization"))
    fake.world.install(10, Account(504, "asleep", "Organization"))
    fake.world.suspend(10)
    check = look_at_installations(worker)["installations"]
    assert check.result == "warning"
    assert check.found == "4 (1 suspended, 1 waiting for approval, 1 not known here yet)."
    assert set(fake.identities.minted) == {ACME}, "nothing of the others is asked"


def test_a_limit_that_is_nearly_spent(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    fake.limits.leave(ACME, "graphql", remaining=40)
    check = look_at_installations(worker)["rate limits"]
    assert (check.result, "graphql 40" in check.found) == ("warning", True)


def test_a_server_without_limits(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.limits.limit = None
    find_installations(access=worker)
    assert look_at_installations(worker)["rate limits"].found == "Left this hour: acme: without limits."


def test_an_account_that_gives_no_token(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    fake.world.suspend(ACME)
    check = look_at_installations(worker)["rate limits"]
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
    check = look_at_installations(worker)["senders"]
    assert check.result == result
    assert result == "not checked" or address in check.found


def test_behind_a_trusted_proxy_the_sender_is_who_the_proxy_names(
    fake: FakeGitHub, worker: GitHubAccess, settings: Any
) -> None:
    find_installations(access=worker)
    settings.TRUSTED_PROXIES = ["10.0.0.5"]
    through = {"REMOTE_ADDR": "10.0.0.5", "HTTP_X_FORWARDED_FOR": "192.30.253.9"}
    assert GitHub().deliver(event="ping", environ=through).status_code == 202
    assert look_at_installations(worker)["senders"].result == "ok"


def test_without_a_delivery_there_is_no_sender_to_compare(fake: FakeGitHub, worker: GitHubAccess) -> None:
    find_installations(access=worker)
    assert look_at_installations(worker)["senders"].result == "not checked"


def test_an_app_that_is_installed_nowhere(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.world.installations.clear()
    assert look_at_installations(worker)["installations"].result == "warning"


def test_a_github_that_does_not_answer_stops_the_family(fake: FakeGitHub, worker: GitHubAccess) -> None:
    fake.spoil(Fault(faults.status(502), faults.below("/app"), times=None))
    assert "does not answer" in look_at_installations(worker)["stopped"].found
