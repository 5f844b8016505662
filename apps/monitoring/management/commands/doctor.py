"""The command `doctor`: check everything that tformance needs."""

import json
import logging
from argparse import RawDescriptionHelpFormatter
from contextlib import nullcontext
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console

from apps.monitoring.doctor import github
from apps.monitoring.doctor.checks import Check, Family, Result, document_of, run_families, summary_of, table_of
from apps.monitoring.doctor.families import all_families

INTERRUPTED = 130
EXAMPLES = """\
examples:
  manage.py doctor           a table of checks with their result and what to do
  manage.py doctor --json    the same as JSON

It changes nothing, takes at most 20 s, and shows no secrets.
results: ok; warning (it works, but needs attention); failed; not checked (it could not be checked)
exit codes: 0 no check failed, 1 a check failed, 2 usage error, 130 interrupted
"""


class Command(BaseCommand):
    help = "Check settings, database, Redis, workers, Celery beat, waiting work, and the App at GitHub."
    requires_system_checks = []  # noqa: RUF012  Django's own type  # doctor runs them itself

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, epilog=EXAMPLES, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON: is_ok and every check")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.ending = ""  # the console ends its lines itself
        console = Console(file=cast(IO[str], self.stdout), highlight=False, markup=False, emoji=False)
        try:
            checks = self._run(console, is_shown=console.is_terminal and not options["json"])
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        if options["json"]:
            console.print(json.dumps(document_of(checks), indent=2), soft_wrap=True)
        else:
            console.print(table_of(checks))
            console.print(summary_of(checks))
        if any(check.result is Result.FAILED for check in checks):
            raise SystemExit(1)

    def _run(self, console: Console, *, is_shown: bool) -> list[Check]:
        """Run all checks; on a terminal, show the family that is running."""
        with console.status("") if is_shown else nullcontext() as progress:

            def show(family: Family) -> None:
                if progress is not None:
                    progress.update(f"Checking {family.title} …")

            logging.disable(logging.WARNING)  # the table has all failures
            try:
                return list(run_families(all_families(github.impatient_access()), on_start=show))
            finally:
                logging.disable(logging.NOTSET)
