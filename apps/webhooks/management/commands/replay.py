"""The command `replay`: process stored deliveries again."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.webhooks.models import Delivery
from apps.webhooks.replay import Filter, find, find_repository_id, replay

USAGE = 2


def moment(text: str) -> datetime:
    """Return a date or time in ISO 8601, by default in UTC."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def counted(number: int) -> str:
    return f"{number} {'delivery' if number == 1 else 'deliveries'}"


class Command(BaseCommand):
    help = (
        "Process stored deliveries again: one by its key, or all that match every option. "
        "Live deliveries go first. Deliveries whose body has expired cannot be replayed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", nargs="?", metavar="KEY", help="HOOK:GUID, or the GUID shown by GitHub")
        parser.add_argument("--event", help="such as pull_request")
        parser.add_argument("--action", help="such as opened")
        parser.add_argument("--state", choices=Delivery.State.values)
        parser.add_argument("--reason", help="such as shape_mismatch")
        parser.add_argument("--error", help="the whole text of its error")
        parser.add_argument("--installation", type=int, metavar="ID")
        parser.add_argument("--repository", metavar="OWNER/REPO", help="its name, or its id on GitHub")
        parser.add_argument("--since", type=moment, help="arrived at this time or later, ISO 8601, UTC by default")
        parser.add_argument("--until", type=moment, help="arrived before this time")
        parser.add_argument("--all", action="store_true", help="every stored delivery; required without other options")
        parser.add_argument("--dry-run", action="store_true", help="only print how many match")

    def handle(self, *args: Any, **options: Any) -> None:
        deliveries = self._find(options)
        if options["dry_run"]:
            self.stdout.write(f"{counted(deliveries.count())} would be replayed.")
            return
        replayed = replay(deliveries, progress=lambda done: self.stderr.write(f"{done} so far"))
        if options["key"] and not replayed:
            raise CommandError("The delivery cannot be replayed: it is unknown, running, or its body has expired.")
        self.stdout.write(f"{counted(replayed)} will be processed again.")

    def _find(self, options: dict[str, Any]) -> Any:
        try:
            wanted = filter_in(options)
            if wanted == Filter() and not options["all"]:
                raise CommandError("Give a KEY, an option such as --state dead, or --all.", returncode=USAGE)
            return find(wanted)
        except ValueError as error:
            raise CommandError(str(error), returncode=USAGE) from error


def filter_in(options: dict[str, Any]) -> Filter:
    """Return the filter that the options name; ValueError for an unknown repository."""
    repository = options["repository"]
    return Filter(
        key=options["key"],
        event=options["event"],
        action=options["action"],
        state=options["state"],
        reason=options["reason"],
        error=options["error"],
        installation_id=options["installation"],
        repository_id=None if repository is None else find_repository_id(repository),
        since=options["since"],
        until=options["until"],
    )
