"""The App as it is stored: its private key, and what GitHub said when it was registered from a manifest."""

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


class AppRegistration(models.Model):
    """An App that was registered from the Setup page, with the client that people sign in by."""

    app_id = models.BigIntegerField(primary_key=True)
    slug = models.TextField()
    name = models.TextField()
    html_url = models.TextField()
    owner = models.TextField(help_text="login of the account that owns the App")
    webhook_url = models.TextField(db_default="", blank=True, help_text="where GitHub was asked to post")
    client_id = models.TextField()
    encrypted_client_secret = models.BinaryField()
    registered_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["-registered_at", "-app_id"]
        verbose_name = "registration of the App"
        verbose_name_plural = "registrations of the App"

    def __str__(self) -> str:
        return f"App {self.slug} ({self.app_id})"
