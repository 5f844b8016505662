"""Which secrets may sign, and how they are kept."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.utils import timezone

from apps.webhooks import signature
from apps.webhooks.models import Delivery, WebhookSecret
from apps.webhooks.signature import find_signing_secret, fingerprint_of, is_strong, store_secret
from tests.webhooks.conftest import GitHub, only

pytestmark = pytest.mark.django_db
NEW, OLD, STORED = "the-newest-secret-of-two", "an-older-secret-in-rotation", "a-secret-kept-in-the-store"


def test_githubs_own_example_is_accepted() -> None:
    slot = fingerprint_of("It's a Secret to Everybody")
    header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert find_signing_secret(b"Hello, World!", header=header, secrets=[slot]) == slot
    assert find_signing_secret(b"Hello, World?", header=header, secrets=[slot]) is None


def test_both_secrets_of_a_rotation_sign_and_each_delivery_tells_which(settings: Any) -> None:
    settings.GITHUB_WEBHOOK_SECRETS = [NEW, OLD]
    for secret in (NEW, OLD):
        assert GitHub(secret=secret).deliver().status_code == 202
    assert list(Delivery.objects.order_by("id").values_list("signed_by", flat=True)) == [
        fingerprint_of(NEW).name,
        fingerprint_of(OLD).name,
    ]


def test_a_secret_that_left_the_rotation_signs_nothing(settings: Any) -> None:
    settings.GITHUB_WEBHOOK_SECRETS = [NEW]
    assert GitHub(secret=OLD).deliver().status_code == 401


def test_a_slot_keeps_its_name_when_a_newer_secret_comes_before_it() -> None:
    assert fingerprint_of(OLD).name == fingerprint_of(OLD).name != fingerprint_of(NEW).name
    assert OLD not in repr(fingerprint_of(OLD))


def test_a_stored_secret_signs_and_is_encrypted(settings: Any) -> None:
    settings.GITHUB_WEBHOOK_SECRETS = []
    stored = store_secret(STORED, label="rotation of May")
    assert STORED.encode() not in bytes(stored.encrypted_value)
    assert GitHub(secret=STORED).deliver().status_code == 202
    assert only().signed_by == stored.slot


def test_the_store_is_read_again_within_5_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GitHub(secret=STORED).deliver().status_code == 401
    store_secret(STORED, label="late")
    assert GitHub(secret=STORED).deliver().status_code == 401
    assert signature.REREAD_AFTER_S <= 5
    later_s = signature._cache.expires_at_s
    monkeypatch.setattr(signature.time, "monotonic", lambda: later_s)
    assert GitHub(secret=STORED).deliver().status_code == 202


def test_a_stored_secret_ends_at_its_time() -> None:
    secret = store_secret(STORED, label="old")
    WebhookSecret.objects.filter(pk=secret.pk).update(not_after=timezone.now() - timedelta(seconds=1))
    assert GitHub(secret=STORED).deliver().status_code == 401


def test_a_stored_secret_survives_a_rotation_of_keys(settings: Any) -> None:
    store_secret(STORED, label="kept")
    settings.FERNET_KEYS = [Fernet.generate_key().decode(), *settings.FERNET_KEYS]
    assert GitHub(secret=STORED).deliver().status_code == 202


def test_a_stored_secret_under_a_lost_key_does_not_close_the_door(settings: Any) -> None:
    store_secret(STORED, label="lost")
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    assert GitHub().deliver().status_code == 202
    assert GitHub(secret=STORED).deliver().status_code == 401


@pytest.mark.parametrize("secrets", [[], [""], ["short"], ["x" * 40]])
def test_without_an_active_secret_the_receiver_answers_503(settings: Any, secrets: list[str]) -> None:
    settings.GITHUB_WEBHOOK_SECRETS = secrets
    for secret in [*secrets, ""]:
        assert GitHub(secret=secret).deliver().status_code == 503
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("value", ["", "secret", "0123456789abcde", "a" * 100, "abababababababababab"])
def test_a_weak_secret_is_refused_everywhere(settings: Any, value: str) -> None:
    assert not is_strong(value)
    with pytest.raises(ValueError, match="weak"):
        store_secret(value, label="weak")
    settings.GITHUB_WEBHOOK_SECRETS = [NEW, value]
    assert "webhooks.E001" in {message.id for message in run_checks()}


def test_right_settings_pass_the_checks() -> None:
    assert not [message for message in run_checks() if (message.id or "").startswith("webhooks.")]


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("GITHUB_WEBHOOK_SECRETS", [], "webhooks.W001"),
        ("FERNET_KEYS", [], "webhooks.W002"),
        ("FERNET_KEYS", ["no key"], "webhooks.E002"),
    ],
)
def test_wrong_settings_are_named(settings: Any, name: str, value: object, complaint: str) -> None:
    setattr(settings, name, value)
    assert complaint in {message.id for message in run_checks()}
