"""The command `demo`: post sample deliveries to the webhook address, and print the figures."""

import time
from argparse import ArgumentTypeError
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from apps.activity.models import Change, Installation
from apps.demo.deliveries import HOOK_ID, NO_ANSWER, Sender
from apps.demo.sample_data import COMPANIES, SPAN, sample_deliveries
from apps.demo.scenario import Sent
from apps.teams.models import Team
from apps.webhooks.models import Delivery

ACCEPTED = 202
LOOK_EVERY_S = 0.2
SAY_EVERY_S = 5
WINDOW = "30d"  # what the front page shows first
ACCOUNTS = [company.account.id for company in COMPANIES]


class Command(BaseCommand):
    help = (
        "Post sample deliveries: eight weeks of two teams and four repositories, signed, to the webhook address of a "
        "running tformance, which processes them like GitHub's own. Running it twice adds nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        address = f"http://127.0.0.1:{settings.PORT}"
        parser.add_argument("--url", default=address, help=f"address of tformance (default: {address})")
        parser.add_argument(
            "--patience", type=seconds, default=180.0, metavar="SECONDS", help="how long to wait for the figures"
        )
        parser.add_argument("--anyway", action="store_true", help="even if there are deliveries of a real GitHub App")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["anyway"]:
            refuse_real_data()
        self.stdout.write("  sample     eight weeks of two teams, signed and posted like GitHub's deliveries")
        deliveries = sample_deliveries(start=sample_start())
        with Progress(
            TextColumn("  {task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not self.stderr.isatty(),
        ) as progress:
            self._post(deliveries, url=options["url"], progress=progress)
            self._wait(len(deliveries), patience_s=options["patience"], progress=progress)
        self._show(options["url"])

    def _post(self, deliveries: Sequence[Sent], *, url: str, progress: Progress) -> None:
        began = time.monotonic()
        task = progress.add_task("posting deliveries", total=len(deliveries))
        with open_sender(url) as sender:
            if sender.send(deliveries[0]) == NO_ANSWER:
                raise CommandError(f"Nothing answers at {url}. Start tformance with `make run`, or give its --url.")
            answers = sender.send_all(deliveries, progress=lambda done: progress.update(task, completed=done))
        refused = {status: times for status, times in answers.items() if status != ACCEPTED}
        if refused:
            raise CommandError(f"Not every delivery was accepted; answers by HTTP status (0 is no answer): {refused}.")
        self.stdout.write(f"  posted     {len(deliveries)} deliveries in {time.monotonic() - began:.1f} s")

    def _wait(self, total: int, *, patience_s: float, progress: Progress) -> None:
        """Wait until every sample delivery is processed and no figure is stale."""
        began = said_at = time.monotonic()
        task = progress.add_task("processing", total=total)
        while True:
            states = count_states()
            unfinished = sum(states.get(state, 0) for state in Delivery.UNFINISHED)
            progress.update(task, completed=total - unfinished)
            if progress.disable and time.monotonic() - said_at > SAY_EVERY_S:
                said_at = time.monotonic()
                self.stdout.write(f"  processed  {total - unfinished} of {total}")
            if not unfinished and not Change.objects.exists():
                break
            if time.monotonic() - began > patience_s:
                raise CommandError(
                    f"After {patience_s:.0f} s, {unfinished} deliveries are not processed or figures not up to date. "
                    "Is a worker running? `make celery-worker` starts one; `manage.py inbox` shows the inbox."
                )
            time.sleep(LOOK_EVERY_S)
        if lost := {str(state): states[state] for state in Delivery.NEEDS_ATTENTION if states.get(state)}:
            raise CommandError(f"Some deliveries could not be processed: {lost}. See Deliveries in the admin.")
        self.stdout.write(f"  figures    up to date {time.monotonic() - began:.1f} s later")

    def _show(self, url: str) -> None:
        for team in Team.objects.filter(account__in=ACCOUNTS):
            self.stdout.write("")
            call_command("figures", team.slug, window=WINDOW, stdout=self.stdout)
        self.stdout.write(f"\nThe dashboard: {url.rstrip('/')}/")


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds.") from error
    if number <= 0:
        raise ArgumentTypeError("--patience must be greater than 0.")
    return number


def sample_start() -> datetime:
    """Return the time eight weeks ago; if the sample was posted already, its start at that time."""
    posted = Installation.objects.filter(pk=COMPANIES[0].installation_id).values_list("created_at", flat=True).first()
    return posted or timezone.now().replace(minute=0, second=0, microsecond=0) - SPAN


def refuse_real_data() -> None:
    """Raise CommandError if there are deliveries of real people, whose figures must not be mixed with the sample."""
    if Delivery.objects.exclude(hook_id=HOOK_ID).filter(installation_id__isnull=False).exists():
        raise CommandError(
            "This tformance has deliveries of a real GitHub App; sample data would be mixed with them. "
            "`make run` starts it without; `.venv/bin/python manage.py demo --anyway` posts the sample all the same."
        )


def open_sender(url: str) -> Sender:
    """Return a sender that signs with the newest secret of this instance."""
    if not settings.GITHUB_WEBHOOK_SECRETS:
        raise CommandError("There is no webhook secret to sign with: set GITHUB_WEBHOOK_SECRETS.")
    try:
        return Sender(url, secret=settings.GITHUB_WEBHOOK_SECRETS[0])
    except ValueError as error:
        raise CommandError(str(error)) from error


def count_states() -> dict[str, int]:
    """Return the number of sample deliveries by state."""
    rows = Delivery.objects.filter(hook_id=HOOK_ID).values_list("state").annotate(number=Count("pk"))
    return dict(rows)
