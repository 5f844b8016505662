"""Find the deliveries that failed at GitHub and bring them into the inbox, now."""

import json
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from apps.common.command_help import Help
from apps.common.db import error_message
from apps.common.encryption import UndecryptableError
from apps.github.auth import github
from apps.github.credentials import NoCredentialsError, app_credentials
from apps.integrations.delivery_log.scan_job import Found, found_since, open_scan, scan_now, why
from apps.integrations.models import DeliveryLogScan

INTERRUPTED = 130
TURN_S, LOOK_EVERY_S = 5.0, 1.0
LONGEST_WAIT, PATIENCE = timedelta(minutes=1), timedelta(minutes=2)
EXAMPLES = """\
examples:
  manage.py scan_deliveries           read GitHub's log now, and say what was missing
  manage.py scan_deliveries --json    the same, for machines

exit codes: 0 all of GitHub's log is in the inbox, or GitHub was asked to deliver it again;
1 something of it is not here, or the log could not be read; 2 usage; 130 interrupted.
"""


class Command(BaseCommand):
    help = """\
Read GitHub's log of deliveries, newest first, down to where it was last read,
and bring what is not in the inbox there: from the log, or, with
SCAN_REDELIVERS, delivered again by GitHub. Workers do the same every 15
minutes; they finish what is begun here."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, epilog=EXAMPLES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="one JSON object at the end; progress on standard error"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        begun_at = timezone.now()
        try:
            row = self._scan(app_credentials().app_id, begun_at=begun_at)
        except (NoCredentialsError, UndecryptableError) as error:
            raise CommandError(f"GitHub cannot be asked: {error}") from error
        except Error as error:
            raise CommandError(f"The database does not take it: {error_message(error)}") from error
        except KeyboardInterrupt:
            self.stderr.write("Interrupted. What was found is kept, and the workers go on.")
            raise SystemExit(INTERRUPTED) from None
        self._sum_up(row, found_since(begun_at), as_json=options["json"])

    def _scan(self, app_id: int, *, begun_at: datetime) -> DeliveryLogScan:
        """Scan until a scan that began since is over and nothing more is due, or there is a long wait."""
        own = open_scan(app_id)
        own.hasten(apart=timedelta())
        shown = ""
        while True:
            scan_now(access=github(), seconds=TURN_S)
            row = own.get()
            shown = self._say_progress(row, shown=shown)
            if _is_over(row, begun_at=begun_at):
                return row
            if not row.goes_on:
                time.sleep(LOOK_EVERY_S)
            if not row.cursor and not row.reason and not _began_since(row, begun_at):
                own.hasten(apart=timedelta())  # a scan that was under way has seen nothing newer

    def _say_progress(self, row: DeliveryLogScan, *, shown: str) -> str:
        """Print the progress if it changed; return the line."""
        if row.lease_until is not None:
            line = "A worker scans right now; waiting for it."
        elif row.cursor and row.reached_at is not None:
            line = f"{row.items:,} attempts seen, back to {row.reached_at:%Y-%m-%d %H:%M} UTC …"
        elif row.reason:
            line = f"Waits: {why(row)}."
        else:
            waiting = found_since(timezone.now()).waiting
            line = f"{row.items:,} attempts seen, all of the log that was due; {waiting:,} to recover …"
        if line != shown:
            self.stderr.write(line)
        return line

    def _sum_up(self, row: DeliveryLogScan, found: Found, *, as_json: bool) -> None:
        is_read = not row.cursor and not row.reason
        if as_json:
            document = {**asdict(found), "is_read": is_read, "attempts_seen": row.items, "reason": row.reason}
            self.stdout.write(json.dumps({**document, "mark": row.mark}, default=datetime.isoformat))
        else:
            self._say_found(row, found)
        if not is_read:
            until = f"{row.not_before:%H:%M:%S} UTC"
            raise CommandError(f"It did not come to its end: {why(row)}. The workers go on with it at {until}.")
        lost = found.waiting + found.given_up
        if lost:
            are = "delivery is" if lost == 1 else "deliveries are"
            raise CommandError(f"{lost:,} missed {are} not here.")

    def _say_found(self, row: DeliveryLogScan, found: Found) -> None:
        lines = [
            ("attempts seen in GitHub's log", row.items, ""),
            ("missing in the inbox", found.missing, ""),
            ("fetched from the log", found.fetched, ""),
            ("delivered again by GitHub", found.redelivered, ""),
            ("arrived by themselves", found.arrived, ""),
            ("asked for, still to come", found.asked, ""),
            ("waiting for another try", found.waiting, _at(found.next_at)),
            ("given up", found.given_up, "see Missed deliveries in the admin"),
        ]
        for name, count, words in lines:
            self.stdout.write(f"{name:<31}{count:>9,}{f'  {words}' if words and count else ''}")
        if row.mark is not None:
            self.stdout.write(f"The log was read whole up to {row.mark:%Y-%m-%d %H:%M} UTC.")


def _is_over(row: DeliveryLogScan, *, begun_at: datetime) -> bool:
    """Return whether nothing more can be done now: all is done, or the wait is longer than anybody watches."""
    if row.lease_until is not None or row.goes_on:
        return False
    if row.reason:
        now = timezone.now()
        return row.not_before > now + LONGEST_WAIT or now > begun_at + PATIENCE
    return not row.cursor and _began_since(row, begun_at)


def _began_since(row: DeliveryLogScan, moment: datetime) -> bool:
    return row.started_at is not None and row.started_at >= moment


def _at(moment: datetime | None) -> str:
    return "" if moment is None else f"the next at {moment:%H:%M:%S} UTC"
