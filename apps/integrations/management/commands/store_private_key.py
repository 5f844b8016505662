"""`manage.py store_private_key APP_ID FILE`: the App's key into the encrypted store."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.common.encryption import can_encrypt
from apps.github.credentials import store_private_key


class Command(BaseCommand):
    help = (
        "Keep the private key of the GitHub App in the database, encrypted under FERNET_KEYS, for all processes. "
        "GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, where they are set, come before it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("app_id", type=int, help="the number on the App's page on GitHub")
        parser.add_argument("file", help="the .pem that GitHub made; - reads standard input")

    def handle(self, *, app_id: int, file: str, **options: Any) -> None:
        if not can_encrypt():
            raise CommandError("FERNET_KEYS is empty: there is nothing to encrypt with.")
        try:
            stored = store_private_key(sys.stdin.read() if file == "-" else Path(file).read_text(), app_id=app_id)
        except (OSError, ValueError) as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(f"Stored the {stored}. Delete the file now.")
        if settings.GITHUB_APP_ID and settings.GITHUB_APP_PRIVATE_KEY:
            self.stderr.write(
                "GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY are set: the environment's key is used, not this one."
            )
