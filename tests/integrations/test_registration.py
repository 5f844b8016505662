"""An App made from a manifest: what GitHub is asked for, what is stored, and every way it can go wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from githubkit_schemas.latest import models
from pydantic import TypeAdapter

from apps.common.encryption import decrypt
from apps.demo.shapes import Json
from apps.github.auth import GitHubAccess
from apps.github.credentials import app_credentials, sign_in_client
from apps.github.models import AppPrivateKey, AppRegistration
from apps.github.registration import Manifest, RegistrationError, installation_url, register
from apps.webhooks.models import WebhookSecret
from apps.webhooks.signature import active_secrets, forget_secrets
from tests.fake_github import faults
from tests.fake_github.faults import Answered, Asked, Fault, below
from tests.fake_github.identities import APP_ID, app_pem, elliptic_pem
from tests.fake_github.manifests import CODE_LIVES_S, converted
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import Clock

pytestmark = pytest.mark.django_db
CONVERSIONS = below("/app-manifests/")
WEBHOOK = "https://tf.example.com/webhooks/github/"


@pytest.fixture(autouse=True)
def public_address(settings: Any) -> None:
    settings.PUBLIC_URL = "https://tf.example.com"


def manifest(**changed: Any) -> Manifest:
    return Manifest(**({"name": "acme figures", "organization": "acme", "webhook_url": WEBHOOK} | changed))


def code_of(fake: FakeGitHub) -> str:
    return fake.manifests.create(manifest().document(), organization="acme")


def nothing_is_stored() -> bool:
    return not (AppRegistration.objects.exists() or AppPrivateKey.objects.exists() or WebhookSecret.objects.exists())


def test_the_manifest_asks_for_what_tformance_needs_and_nothing_else(fake: FakeGitHub) -> None:
    asked = manifest().document()
    assert fake.manifests.problems(asked) == []
    assert set(asked["default_permissions"].values()) == {"read"}
    assert {"pull_request", "workflow_run", "deployment_status"} < set(asked["default_events"])
    assert not {"installation", "ping"} & set(asked["default_events"])
    assert (asked["public"], asked["hook_attributes"]) == (False, {"url": WEBHOOK, "active": True})
    assert asked["redirect_url"].startswith("https://tf.example.com/setup/")
    assert asked["setup_url"] == "https://tf.example.com/setup/"
    assert asked["callback_urls"] == ["https://tf.example.com/accounts/github/login/callback/"]


@pytest.mark.parametrize(
    ("host", "organization", "expected"),
    [
        ("https://github.com", "", "https://github.com/settings/apps/new?state=s"),
        ("https://github.com", "acme", "https://github.com/organizations/acme/settings/apps/new?state=s"),
        ("https://git.acme.com", "acme", "https://git.acme.com/organizations/acme/settings/apps/new?state=s"),
        ("https://acme.ghe.com", "", "https://acme.ghe.com/settings/apps/new?state=s"),
        ("https://github.com", "../x?y", "https://github.com/organizations/..%2Fx%3Fy/settings/apps/new?state=s"),
    ],
)
def test_github_gets_it_for_the_account_and_on_the_host_of_the_settings(
    settings: Any, host: str, organization: str, expected: str
) -> None:
    settings.GITHUB_URL = host
    assert manifest(organization=organization).url(state="s") == expected


def test_the_fake_answers_as_github_describes_it(fake: FakeGitHub) -> None:
    code_of(fake)
    answer = converted(fake.manifests.apps[0])
    TypeAdapter(models.AppManifestsCodeConversionsPostResponse201).validate_python(answer)


def test_the_code_brings_the_app_and_all_of_it_is_used_from_then_on(fake: FakeGitHub, worker: GitHubAccess) -> None:
    registered = register(code_of(fake), access=worker)
    made = fake.manifests.apps[0]
    assert (registered.app_id, registered.slug, registered.owner) == (APP_ID, "acme-figures", "acme")
    assert (app_credentials().app_id, app_credentials().private_key) == (APP_ID, app_pem())
    client = sign_in_client()
    assert client is not None
    assert (client.client_id, client.client_secret) == ("Iv23liFromAManifest0", made.client_secret)
    forget_secrets()
    assert made.webhook_secret.encode() in {secret.value for secret in active_secrets()}
    assert installation_url(registered.slug) == "https://github.com/apps/acme-figures/installations/new"


def test_nothing_is_stored_in_the_clear(fake: FakeGitHub, worker: GitHubAccess) -> None:
    registered = register(code_of(fake), access=worker)
    made, secret, key = fake.manifests.apps[0], WebhookSecret.objects.get(), AppPrivateKey.objects.get()
    stored = b"".join(map(bytes, (registered.encrypted_client_secret, secret.encrypted_value, key.encrypted_pem)))
    assert not any(plain.encode() in stored for plain in (made.client_secret, made.webhook_secret, "PRIVATE"))
    assert decrypt(secret.encrypted_value) == made.webhook_secret


def test_the_request_carries_no_credentials(fake: FakeGitHub, worker: GitHubAccess) -> None:
    seen: list[Asked] = []
    fake.spoil(Fault(lambda asked, answer: (seen.append(asked), answer)[1], CONVERSIONS, is_instead=False))
    register(code_of(fake), access=worker)
    assert "authorization" not in seen[0].headers


def test_a_code_is_good_once(fake: FakeGitHub, worker: GitHubAccess) -> None:
    code = code_of(fake)
    register(code, access=worker)
    with pytest.raises(RegistrationError, match="good once and for one hour"):
        register(code, access=worker)
    assert AppRegistration.objects.count() == 1


def test_a_code_is_good_for_an_hour(fake: FakeGitHub, worker: GitHubAccess, clock: Clock) -> None:
    code = code_of(fake)
    clock.wind(CODE_LIVES_S + 1)
    with pytest.raises(RegistrationError, match="good once and for one hour"):
        register(code, access=worker)
    assert nothing_is_stored()


@pytest.mark.parametrize("code", ["../app", "a/b", "x?y=1", "%2e%2e", "x" * 300])
def test_a_code_is_never_a_path(fake: FakeGitHub, worker: GitHubAccess, code: str) -> None:
    with pytest.raises(RegistrationError):
        register(code, access=worker)
    assert all(one.path.startswith("/app-manifests/") for one in fake.log)


def lacking(*names: str, **changed: Any) -> Callable[[Asked, Answered], Answered]:
    def change(asked: Asked, answer: Answered) -> Answered:
        body: Json = {name: value for name, value in answer.body.items() if name not in names} | changed
        return Answered(201, body)

    return change


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(faults.status(200), CONVERSIONS), "no usable answer"),
        (Fault(faults.status(502), CONVERSIONS), "no usable answer"),
        (Fault(faults.hang_up(), CONVERSIONS), "no usable answer"),
        (Fault(faults.status(201, [1]), CONVERSIONS), "lacks id, html_url, client_id, client_secret, pem"),
        (Fault(faults.status(302, "", location="https://evil.example/steal"), CONVERSIONS), "refused: HTTP 302"),
        (Fault(faults.status(403, {"message": "Forbidden by policy"}), CONVERSIONS), "Forbidden by policy"),
        (Fault(faults.secondary(retry_after_s=5), CONVERSIONS), "no more requests"),
        (Fault(lacking("pem"), CONVERSIONS, is_instead=False), "lacks pem"),
        (Fault(lacking("client_secret", "id"), CONVERSIONS, is_instead=False), "lacks id, client_secret"),
        (Fault(lacking(client_id=""), CONVERSIONS, is_instead=False), "lacks client_id"),
        (Fault(lacking(pem=elliptic_pem()), CONVERSIONS, is_instead=False), "private key .* cannot be read"),
    ],
    ids=["html", "502", "hang up", "list", "redirect", "403", "limit", "no pem", "no id", "empty", "other key"],
)
def test_an_answer_without_the_app_stores_nothing_and_says_why(
    fake: FakeGitHub, worker: GitHubAccess, fault: Fault, message: str
) -> None:
    code = code_of(fake)
    fake.spoil(fault)
    with pytest.raises(RegistrationError, match=message):
        register(code, access=worker)
    assert nothing_is_stored()


def test_an_app_whose_webhook_secret_is_missing_is_stored_because_the_code_works_once(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    code = code_of(fake)
    fake.spoil(Fault(lacking(webhook_secret=None), CONVERSIONS, is_instead=False))
    register(code, access=worker)
    assert app_credentials().app_id == APP_ID
    assert not WebhookSecret.objects.exists()


def test_an_app_without_a_slug_is_named_by_its_page(fake: FakeGitHub, worker: GitHubAccess) -> None:
    code = code_of(fake)
    fake.spoil(Fault(lacking("slug"), CONVERSIONS, is_instead=False))
    assert register(code, access=worker).slug == "acme-figures"


def test_without_an_encryption_key_the_code_is_not_spent(fake: FakeGitHub, worker: GitHubAccess, settings: Any) -> None:
    settings.FERNET_KEYS = []
    with pytest.raises(RegistrationError, match="FERNET_KEYS"):
        register(code_of(fake), access=worker)
    assert not fake.log
