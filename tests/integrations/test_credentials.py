"""Where the App's key comes from, how it is kept, and how everything encrypted moves to a new key."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from apps.common.encryption import UndecryptableError, encrypted_fields, is_current
from apps.github.credentials import (
    AppCredentials,
    NoCredentialsError,
    app_credentials,
    has_credentials,
    store_private_key,
)
from apps.github.models import AppPrivateKey
from apps.webhooks.models import WebhookSecret
from apps.webhooks.signature import store_secret
from tests.fake_github.identities import app_pem, elliptic_pem

pytestmark = pytest.mark.django_db


def new_key() -> str:
    return Fernet.generate_key().decode()


def complaints() -> set[str | None]:
    return {message.id for message in run_checks(databases=["default"]) if str(message.id).startswith("integrations.")}


def rotated() -> str:
    said = StringIO()
    call_command("rotate_keys", stdout=said)
    return said.getvalue()


def test_without_credentials_it_says_what_to_set() -> None:
    assert not has_credentials()
    with pytest.raises(NoCredentialsError, match="GITHUB_APP_ID"):
        app_credentials()


def test_the_environment_comes_before_the_store_and_the_key_is_in_no_repr(settings: Any) -> None:
    store_private_key(app_pem(), app_id=7)
    assert app_credentials() == AppCredentials(7, app_pem())
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = 8, "pem of the environment"
    assert has_credentials()
    assert app_credentials() == AppCredentials(8, "pem of the environment")
    assert "pem of" not in repr(app_credentials())


def test_the_stored_key_is_encrypted_and_replaced_by_the_next(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "app.pem"
    file.write_text(app_pem())
    for app_id in ("7", "7", "9"):
        call_command("store_private_key", app_id, str(file))
    assert AppPrivateKey.objects.count() == 2
    assert app_credentials().app_id == 9
    assert b"PRIVATE" not in bytes(AppPrivateKey.objects.first().encrypted_pem)
    assert "PRIVATE" not in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "no key", elliptic_pem()])
def test_a_key_that_github_would_not_take_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "app.pem"
    file.write_text(content)
    with pytest.raises(CommandError, match="not an RSA private key"):
        call_command("store_private_key", "7", str(file))
    with pytest.raises(CommandError, match="No such file"):
        call_command("store_private_key", "7", str(tmp_path / "nowhere"))


def test_a_rotation_moves_every_secret_to_the_newest_key_and_says_so(settings: Any) -> None:
    store_private_key(app_pem(), app_id=7)
    for number in range(3):
        store_secret(f"a-strong-secret-of-{number}", label=str(number))
    old = list(settings.FERNET_KEYS)
    settings.FERNET_KEYS = [new_key(), *old]
    said = rotated()
    assert "webhook secrets: 3 re-encrypted, 0 under the newest key already, 0 unreadable" in said
    assert "private keys of the App: 1 re-encrypted" in said
    assert "3 under the newest key already" in rotated()
    settings.FERNET_KEYS = settings.FERNET_KEYS[:1]
    assert app_credentials().private_key == app_pem()
    assert all(is_current(secret.encrypted_value) for secret in WebhookSecret.objects.all())


def test_what_no_key_opens_is_left_alone_and_fails_the_rotation(settings: Any) -> None:
    store_private_key(app_pem(), app_id=7)
    before = bytes(AppPrivateKey.objects.get().encrypted_pem)
    settings.FERNET_KEYS = [new_key()]
    with pytest.raises(CommandError, match="1 could not be read"):
        rotated()
    assert bytes(AppPrivateKey.objects.get().encrypted_pem) == before
    with pytest.raises(UndecryptableError):
        app_credentials()
    assert "integrations.E002" in complaints()


def test_a_rotation_finds_more_than_one_batch(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.common.encryption.AT_A_TIME", 2)
    for number in range(5):
        store_secret(f"a-strong-secret-of-{number}", label=str(number))
    settings.FERNET_KEYS = [new_key(), *settings.FERNET_KEYS]
    assert "webhook secrets: 5 re-encrypted" in rotated()


def test_everything_encrypted_is_found() -> None:
    assert {(model.__name__, field) for model, field in encrypted_fields()} == {
        ("WebhookSecret", "encrypted_value"),
        ("AppPrivateKey", "encrypted_pem"),
        ("AppRegistration", "encrypted_client_secret"),
        ("Channel", "encrypted_secret"),
        ("Channel", "encrypted_url"),
    }


def test_without_a_key_nothing_is_stored_or_rotated(settings: Any) -> None:
    settings.FERNET_KEYS = []
    for command in (("rotate_keys",), ("store_private_key", "7", "-")):
        with pytest.raises(CommandError, match="FERNET_KEYS is empty"):
            call_command(*command)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("GITHUB_API_URL", "https://github.example.com", "integrations.E001"),
        ("GITHUB_API_URL", "https://github.example.com/api", "integrations.E001"),
        ("GITHUB_API_URL", "https://acme.ghe.com", "integrations.E001"),
        ("GITHUB_API_URL", "https://acme.ghe.com/api/v3", "integrations.E001"),
        ("GITHUB_API_URL", "https://api.acme.ghe.com/api/v3", "integrations.E001"),
        ("FERNET_KEYS", [], "integrations.W001"),
    ],
)
def test_half_a_configuration_is_named(settings: Any, name: str, value: object, complaint: str) -> None:
    settings.GITHUB_APP_ID = 7
    assert complaints() == set()
    setattr(settings, name, value)
    assert complaint in complaints()


@pytest.mark.parametrize(
    "address", ["https://github.example.com/api/v3", "https://api.acme.ghe.com", "http://127.0.0.1:8080"]
)
def test_every_address_that_github_has_passes(settings: Any, address: str) -> None:
    settings.GITHUB_API_URL = address
    assert complaints() == set()
