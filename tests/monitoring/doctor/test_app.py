"""Doctor's checks of the App at GitHub."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.utils import timezone

from apps.demo.organisation import Sent
from apps.github.auth import GitHubAccess
from apps.monitoring.doctor.github import check_app, impatient_access
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.monitoring.doctor.conftest import found_by

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
