"""Look at everything that tformance needs, and say what is wrong and what to do."""

import json
import logging
from argparse import RawDescriptionHelpFormatter
from contextlib import nullcontext
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console

from apps.monitoring.doctor.checks import Check, Family, Verdict, document_of, summary_of, table_of
from apps.monitoring.doctor.examination import all_families, examine
from apps.monitoring.doctor.github import hasty_access

INTERRUPTED = 130
EXAMPLES = """\
examples:
  manage.py doctor           a table: each check, its verdict, what was found and what to do
  manage.py doctor --json    the same for machines

It changes nothing, takes 20 s at the most, and shows no secret.
verdicts: ok; warning (it works, and somebody should know); wrong; not checked (it could not be).
exit codes: 0 nothing is wrong, 1 something is, 2 usage, 130 interrupted
"""


class Command(BaseCommand):
    help = "Look at settings, database, Redis, workers, beat, the work that waits, and the App at GitHub."
    requires_system_checks = []  # noqa: RUF012  Django's own type  # they are among what is looked at

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, epilog=EXAMPLES, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines: is_well, and every check")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.ending = ""  # the console ends its lines itself
        console = Console(file=cast(IO[str], self.stdout), highlight=False, markup=False, emoji=False)
        try:
            checks = self._examine(console, is_shown=console.is_terminal and not options["json"])
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        if options["json"]:
            console.print(json.dumps(document_of(checks), indent=2), soft_wrap=True)
        else:
            console.print(table_of(checks))
            console.print(summary_of(checks))
        if any(check.verdict is Verdict.WRONG for check in checks):
            raise SystemExit(1)

    def _examine(self, console: Console, *, is_shown: bool) -> list[Check]:
        """On a terminal the family that is looked at is named meanwhile."""
        with console.status("") if is_shown else nullcontext() as progress:

            def tell(family: Family) -> None:
                if progress is not None:
                    progress.update(f"Looking at {family.title} …")

            logging.disable(logging.WARNING)  # whatever was refused is in the table
            try:
                return list(examine(all_families(hasty_access()), tell=tell))
            finally:
                logging.disable(logging.NOTSET)
