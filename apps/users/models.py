"""Users and their API tokens."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

TOKEN_PREFIX = "tf_"  # noqa: S105  lets people and secret scanners recognise one
SHOWN_LENGTH = len(TOKEN_PREFIX) + 6
USE_IS_STORED_EVERY = timedelta(minutes=5)


class CustomUser(AbstractUser):
    """A user who signs in here; a GitHub account is a Contributor."""


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """API tokens; the secret itself is not stored."""

    def issue(self, *, user: CustomUser, label: str = "", expires_at: datetime | None = None) -> "tuple[ApiToken, str]":
        """Create a token and return it with its secret, which cannot be read again."""
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        token = self.create(
            user=user, label=label, shown=secret[:SHOWN_LENGTH], digest=digest_of(secret), expires_at=expires_at
        )
        return token, secret

    def live(self) -> "ApiTokenQuerySet":
        """Return tokens that have not expired, of active users."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), user__is_active=True)

    def note_use(self, token: "ApiToken") -> int:
        """Store when a token was last used, at most every few minutes, to avoid a write per request."""
        recently = Now() - USE_IS_STORED_EVERY
        return self.filter(Q(last_used_at=None) | Q(last_used_at__lt=recently), pk=token.pk).update(last_used_at=Now())


class ApiToken(models.Model):
    """An API token, which acts as its user; only the digest is stored."""

    user = models.ForeignKey(CustomUser, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=100, blank=True, default="", help_text="Purpose.")
    shown = models.CharField(max_length=SHOWN_LENGTH, editable=False, help_text="First characters.")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Leave empty for a token that does not expire.")

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.shown}… {self.label}".rstrip()


def digest_of(secret: str) -> bytes:
    """Return the digest of a token; a random secret of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
