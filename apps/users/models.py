"""Somebody who signs in here."""

from django.contrib.auth.models import AbstractUser


class CustomUser(AbstractUser):
    """A person who reads figures or operates this instance; a GitHub account is a Contributor."""
