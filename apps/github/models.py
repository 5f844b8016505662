"""The stored private key of the App."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class AppPrivateKey(models.Model):
    """The private key of the GitHub App, encrypted; the environment has precedence."""

    app_id = models.BigIntegerField(primary_key=True)
    encrypted_pem = models.BinaryField()
    stored_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["-stored_at", "-app_id"]
        verbose_name = "private key of the App"
        verbose_name_plural = "private keys of the App"

    def __str__(self) -> str:
        return f"private key of App {self.app_id}"
