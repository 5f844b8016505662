"""The App's id, private key and sign-in client, from the environment or the encrypted store."""

from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from django.utils import timezone

from apps.common.encryption import decrypt, encrypt
from apps.github.models import AppPrivateKey, AppRegistration


class NoCredentialsError(Exception):
    """The App ID and private key are not configured."""


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """The App's id and its private key in PEM, which no repr shows."""

    app_id: int
    private_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignInClient:
    """The App's client id and secret, by which people sign in with GitHub."""

    client_id: str
    client_secret: str = field(repr=False)


def app_credentials() -> AppCredentials:
    """Return the App's id and key from the environment, else those stored last.

    NoCredentialsError if there are none, UndecryptableError if the Fernet key is lost.
    """
    if settings.GITHUB_APP_ID and settings.GITHUB_APP_PRIVATE_KEY:
        return AppCredentials(settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY)
    stored = AppPrivateKey.objects.first()
    if stored is None:
        raise NoCredentialsError(
            "Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE, or run `manage.py store_private_key`."
        )
    return AppCredentials(stored.app_id, decrypt(stored.encrypted_pem))


def has_credentials() -> bool:
    """Return whether GitHub's API can be read; figures can only be verified then."""
    return bool(settings.GITHUB_APP_ID and settings.GITHUB_APP_PRIVATE_KEY) or AppPrivateKey.objects.exists()


def sign_in_client() -> SignInClient | None:
    """Return the client from the environment, else that of the registered App, or None.

    UndecryptableError if the Fernet key is lost.
    """
    if settings.GITHUB_CLIENT_ID and settings.GITHUB_CLIENT_SECRET:
        return SignInClient(settings.GITHUB_CLIENT_ID, settings.GITHUB_CLIENT_SECRET)
    registered = registration_in_use()
    if registered is None:
        return None
    return SignInClient(registered.client_id, decrypt(registered.encrypted_client_secret))


def registration_in_use() -> AppRegistration | None:
    """Return the registration of the App in use: that of the environment's App id, else the latest."""
    registered = AppRegistration.objects.all()
    if settings.GITHUB_APP_ID:
        registered = registered.filter(app_id=settings.GITHUB_APP_ID)
    return registered.first()


def store_private_key(pem: str, *, app_id: int) -> AppPrivateKey:
    """Store the App's key, encrypted, in place of the previous one. ValueError if it cannot sign RS256."""
    if not is_signing_key(pem):
        raise ValueError("This is not an RSA private key in PEM, as GitHub makes them.")
    stored, _ = AppPrivateKey.objects.update_or_create(
        app_id=app_id, defaults={"encrypted_pem": encrypt(pem), "stored_at": timezone.now()}
    )
    return stored


def is_signing_key(pem: str) -> bool:
    """Return whether this is an RSA private key without a passphrase, because GitHub requires RS256."""
    try:
        return isinstance(load_pem_private_key(pem.encode(), password=None), RSAPrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
