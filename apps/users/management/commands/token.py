"""The command `token`: create or revoke API tokens."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.users.models import ApiToken, CustomUser


class Command(BaseCommand):
    help = "Create an API token for a user and print it. It cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--label", default="", help="its purpose")
        parser.add_argument("--days", type=int, help="days until it expires (default: never)")
        parser.add_argument("--revoke", action="store_true", help="revoke all tokens of the user instead")

    def handle(self, *, username: str, label: str, days: int | None, revoke: bool, **options: Any) -> None:
        user = CustomUser.objects.filter(username=username).first()
        if user is None:
            raise CommandError(
                f"There is no user {username}. Create one in the admin or with createsuperuser.", returncode=2
            )
        if revoke:
            revoked, _ = ApiToken.objects.filter(user=user).delete()
            self.stderr.write(f"Revoked {revoked} token{'' if revoked == 1 else 's'} of {username}.")
            return
        if not user.is_active:
            raise CommandError(f"{username} is not active, so a token would not work.", returncode=2)
        if days is not None and days < 1:
            raise CommandError("--days must be at least 1.", returncode=2)
        expires_at = timezone.now() + timedelta(days=days) if days else None
        _, secret = ApiToken.objects.issue(user=user, label=label, expires_at=expires_at)
        self.stdout.write(secret)
