"""Everything that must be true of the database and the files before processes start; harmless to repeat."""

import hashlib
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string


class Command(BaseCommand):
    help = "Migrate the database, collect the static files if they changed, and make the first user if there is none."

    def handle(self, *args: Any, **options: Any) -> None:
        import_string("apps.common.connections.refuse_unfit_pooler")()
        call_command("migrate", interactive=False, verbosity=options["verbosity"])
        self._collect_static(options["verbosity"])
        call_command("ensure_admin", verbosity=options["verbosity"])

    def _collect_static(self, verbosity: int) -> None:
        stamp = settings.STATIC_ROOT / ".collected"
        now = fingerprint()
        if stamp.exists() and stamp.read_text() == now:
            return
        call_command("collectstatic", interactive=False, verbosity=verbosity)
        stamp.write_text(now)


def fingerprint() -> str:
    """Return a fingerprint of the state of the static files, different from another."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            digest.update(f"{path}:{storage.size(path)}:{storage.get_modified_time(path).timestamp()}\n".encode())
    return digest.hexdigest()
