"""The command `ensure_admin`: create the first administrator, so that createsuperuser is not needed."""

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
        "Create an administrator if there are no users; the generated password is stored in TFORMANCE_VAR/admin.json."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if CustomUser.objects.exists():
            if options["verbosity"]:
                self.stdout.write("Users exist already; nothing was created.")
            return
        username, password = "admin", get_random_string(16)
        self._keep(username=username, password=password)
        CustomUser.objects.create_superuser(username=username, password=password)
        if options["verbosity"]:
            self.stdout.write(f"Created the user {username} with the password {password}, stored in {FILE}.")

    def _keep(self, **credentials: str) -> None:
        """Store the password before the user exists, so that it cannot be lost."""
        path = settings.TFORMANCE_VAR / FILE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(credentials, file)
