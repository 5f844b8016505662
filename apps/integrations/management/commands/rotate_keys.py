"""`manage.py rotate_keys`: everything encrypted, under the newest key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.common.encryption import Rotation, can_encrypt, encrypted_fields, rotate


class Command(BaseCommand):
    help = (
        "Re-encrypt every secret at rest under the newest of FERNET_KEYS: webhook secrets and the App's private key. "
        "Put the new key in front of FERNET_KEYS and restart first; afterwards the older keys may go. "
        "Exits with 1 if something cannot be read under any key."
    )

    def handle(self, **options: Any) -> None:
        if not can_encrypt():
            raise CommandError("FERNET_KEYS is empty: there is nothing to encrypt with.")
        done = [rotate(model, field) for model, field in encrypted_fields()]
        for rotation in done:
            self.stdout.write(self._line(rotation))
        self.stdout.write("Installation tokens in Redis renew themselves within the hour.")
        if lost := sum(rotation.lost for rotation in done):
            raise CommandError(
                f"{lost} could not be read under any of FERNET_KEYS and were left as they are. "
                "Put their key back and run this again, or delete them and store them anew."
            )

    def _line(self, rotation: Rotation) -> str:
        return (
            f"{rotation.name}: {rotation.renewed} re-encrypted, {rotation.current} under the newest key already, "
            f"{rotation.lost} unreadable"
        )
