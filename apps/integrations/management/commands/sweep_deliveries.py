"""Find the deliveries that failed at GitHub and bring them into the inbox, now."""

import json
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from apps.common.console import Help
from apps.common.db import error_message
from apps.common.encryption import UndecryptableError
from apps.github.auth import github
from apps.github.credentials import NoCredentialsError, app_credentials
from apps.integrations.delivery_log.scan_health import Found, found_since, why
from apps.integrations.delivery_log.scan_job import open_scan, scan_now
from apps.integrations.models import DeliveryLogScan

INTERRUPTED = 130
TURN_S, LOOK_EVERY_S = 5.0, 1.0
LONGEST_WAIT, PATIENCE = timedelta(minutes=1), timedelta(minutes=2)
EXAMPLES = """\
examples:
  manage.py sweep_deliveries           walk GitHub's log now, and say what was missing
  manage.py sweep_deliveries --json    the same, for machines

exit codes: 0 whatever GitHub's log held is in the inbox, or GitHub was asked to deliver it again;
1 something of it is not here, or the log could not be walked; 2 usage; 130 interrupted.
"""


class Command(BaseCommand):
    help = """\
Walk through GitHub's log of deliveries, newest first, down to where it was last
walked, and bring what is not in the inbox there: read from the log, or, with
SWEEP_REDELIVERS, delivered again by GitHub. Workers do the same every 15
minutes by themselves; whatever is begun here, they finish."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, epilog=EXAMPLES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="one JSON object at the end; progress on standard error"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        begun_at = timezone.now()
        try:
            row = self._sweep(app_credentials().app_id, begun_at=begun_at)
        except (NoCredentialsError, UndecryptableError) as error:
            raise CommandError(f"GitHub cannot be asked: {error}") from error
        except Error as error:
            raise CommandError(f"The database does not take it: {error_message(error)}") from error
        except KeyboardInterrupt:
            self.stderr.write("Interrupted. What was found is kept, and the workers go on.")
            raise SystemExit(INTERRUPTED) from None
        self._sum_up(row, found_since(begun_at), as_json=options["json"])

    def _sweep(self, app_id: int, *, begun_at: datetime) -> DeliveryLogScan:
        """Until a walk that began since has come to its end and nothing more is due, or there is a long wait."""
        own = open_scan(app_id)
        own.hasten(apart=timedelta())
        told = ""
        while True:
            scan_now(access=github(), seconds=TURN_S)
            row = own.get()
            told = self._say_progress(row, told=told)
            if _is_over(row, begun_at=begun_at):
                return row
            if not row.goes_on:
                time.sleep(LOOK_EVERY_S)
            if not row.cursor and not row.reason and not _began_since(row, begun_at):
                own.hasten(apart=timedelta())  # what was under way when we came has seen nothing newer

    def _say_progress(self, row: DeliveryLogScan, *, told: str) -> str:
        """A line where there is something new to say; the line."""
        if row.lease_until is not None:
            line = "A worker sweeps right now; waiting for it."
        elif row.cursor and row.reached_at is not None:
            line = f"{row.items:,} attempts seen, back to {row.reached_at:%Y-%m-%d %H:%M} UTC …"
        elif row.reason:
            line = f"Waits: {why(row)}."
        else:
            waiting = found_since(timezone.now()).waiting
            line = f"{row.items:,} attempts seen, all of the log that was due; {waiting:,} to be brought back …"
        if line != told:
            self.stderr.write(line)
        return line

    def _sum_up(self, row: DeliveryLogScan, found: Found, *, as_json: bool) -> None:
        is_walked = not row.cursor and not row.reason
        if as_json:
            told = {**asdict(found), "is_walked": is_walked, "attempts_seen": row.items, "reason": row.reason}
            self.stdout.write(json.dumps({**told, "mark": row.mark}, default=datetime.isoformat))
        else:
            self._say_found(row, found)
        if not is_walked:
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
            ("came by themselves", found.came, ""),
            ("asked for, still to come", found.asked, ""),
            ("waiting for another try", found.waiting, _at(found.next_at)),
            ("given up", found.given_up, "see Missed deliveries in the admin"),
        ]
        for name, count, words in lines:
            self.stdout.write(f"{name:<31}{count:>9,}{f'  {words}' if words and count else ''}")
        if row.mark is not None:
            self.stdout.write(f"The log was walked whole up to {row.mark:%Y-%m-%d %H:%M} UTC.")


def _is_over(row: DeliveryLogScan, *, begun_at: datetime) -> bool:
    """Whether nothing more is to be had now: all is done, or what is waited for takes longer than anybody watches."""
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
