"""The first user, so that nobody needs createsuperuser before looking around."""

import json
import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.crypto import get_random_string

from apps.users.models import CustomUser

FILE = "admin.json"


class Command(BaseCommand):
    help = (
        "If there are no users yet, make an administrator; the generated password is kept in TFORMANCE_VAR/admin.json."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if CustomUser.objects.exists():
            if options["verbosity"]:
                self.stdout.write("There are users already.")
            return
        username, password = "admin", get_random_string(16)
        self._keep(username=username, password=password)
        CustomUser.objects.create_superuser(username=username, password=password)
        if options["verbosity"]:
            self.stdout.write(f"Made the user {username} with the password {password}, kept in {FILE}.")

    def _keep(self, **credentials: str) -> None:
        """Before the user exists: a password that was set and not kept would lock everybody out."""
        path = settings.TFORMANCE_VAR / FILE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(credentials, file)
