"""Somebody who signs in here, and the tokens their programs use."""

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
USE_IS_NOTED_EVERY = timedelta(minutes=5)


class CustomUser(AbstractUser):
    """A person who reads figures or operates this instance; a GitHub account is a Contributor."""


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Tokens; the secret itself is nowhere in the database."""

    def issue(self, *, user: CustomUser, label: str = "", expires_at: datetime | None = None) -> "tuple[ApiToken, str]":
        """Make a token and return it with its secret, which nobody can read again."""
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        token = self.create(
            user=user, label=label, shown=secret[:SHOWN_LENGTH], digest=digest_of(secret), expires_at=expires_at
        )
        return token, secret

    def live(self) -> "ApiTokenQuerySet":
        """Tokens that have not expired, of people who may sign in."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), user__is_active=True)

    def note_use(self, token: "ApiToken") -> int:
        """Keep when a token was last used, to a few minutes, so that reading does not mean writing each time."""
        recently = Now() - USE_IS_NOTED_EVERY
        return self.filter(Q(last_used_at=None) | Q(last_used_at__lt=recently), pk=token.pk).update(last_used_at=Now())


class ApiToken(models.Model):
    """Lets a program of a user's read the API as that user; kept as a digest only."""

    user = models.ForeignKey(CustomUser, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=100, blank=True, default="", help_text="What it is for.")
    shown = models.CharField(max_length=SHOWN_LENGTH, editable=False, help_text="How it begins.")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="It opens nothing after this moment.")

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.shown}… {self.label}".rstrip()


def digest_of(secret: str) -> bytes:
    """The digest a token is found by: a random secret of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()
