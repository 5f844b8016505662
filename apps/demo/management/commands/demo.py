"""A sample story through the webhook door, and the figures it gives."""

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
from apps.demo.organisation import Sent
from apps.demo.sample_data import COMPANIES, SPAN, tell_demo
from apps.teams.models import Team
from apps.webhooks.models import Delivery

ACCEPTED = 202
LOOK_EVERY_S = 0.2
SAY_EVERY_S = 5
WINDOW = "30d"  # what the front page shows first
ACCOUNTS = [company.account.id for company in COMPANIES]


class Command(BaseCommand):
    help = (
        "Tell a sample story: eight weeks of two teams and four repositories, posted signed through the webhook "
        "door of a running tformance, which processes it like GitHub's own deliveries. Running it twice adds nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        address = f"http://127.0.0.1:{settings.PORT}"
        parser.add_argument("--url", default=address, help=f"where tformance answers (default: {address})")
        parser.add_argument(
            "--patience", type=seconds, default=180.0, metavar="SECONDS", help="how long to wait for the figures"
        )
        parser.add_argument("--anyway", action="store_true", help="even beside the deliveries of a real GitHub App")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["anyway"]:
            refuse_real_data()
        self.stdout.write("  story      eight weeks of two teams; posted as GitHub posts, signed")
        story = tell_demo(start=story_start())
        with Progress(
            TextColumn("  {task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not self.stderr.isatty(),
        ) as progress:
            self._post(story, url=options["url"], progress=progress)
            self._wait(len(story), patience_s=options["patience"], progress=progress)
        self._show(options["url"])

    def _post(self, story: Sequence[Sent], *, url: str, progress: Progress) -> None:
        began = time.monotonic()
        task = progress.add_task("posting deliveries", total=len(story))
        with open_sender(url) as sender:
            if sender.send(story[0]) == NO_ANSWER:
                raise CommandError(f"Nothing answers at {url}. Start tformance with `make run`, or give its --url.")
            answers = sender.send_all(story, progress=lambda done: progress.update(task, completed=done))
        refused = {status: times for status, times in answers.items() if status != ACCEPTED}
        if refused:
            raise CommandError(f"Not every delivery was accepted; answers by status (0 is none): {refused}.")
        self.stdout.write(f"  posted     {len(story)} deliveries, signed, in {time.monotonic() - began:.1f} s")

    def _wait(self, total: int, *, patience_s: float, progress: Progress) -> None:
        """Until every delivery of the story has its end and no figure is stale."""
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
                    f"After {patience_s:.0f} s, {unfinished} deliveries are not processed or figures are stale. "
                    "Does a worker run? `make celery-worker` starts one; `manage.py inbox` shows the inbox."
                )
            time.sleep(LOOK_EVERY_S)
        if lost := {str(state): states[state] for state in Delivery.NEEDS_ATTENTION if states.get(state)}:
            raise CommandError(f"Not every delivery could be processed: {lost}. Look at them under Deliveries.")
        self.stdout.write(f"  figures    fresh {time.monotonic() - began:.1f} s later")

    def _show(self, url: str) -> None:
        for team in Team.objects.filter(account__in=ACCOUNTS):
            self.stdout.write("")
            call_command("figures", team.slug, window=WINDOW, stdout=self.stdout)
        self.stdout.write(f"\nLook at them at {url.rstrip('/')}/")


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds.") from error
    if number <= 0:
        raise ArgumentTypeError("--patience must be greater than 0.")
    return number


def story_start() -> datetime:
    """Eight weeks ago; of a story that was told already, the start it had then."""
    told = Installation.objects.filter(pk=COMPANIES[0].installation_id).values_list("created_at", flat=True).first()
    return told or timezone.now().replace(minute=0, second=0, microsecond=0) - SPAN


def refuse_real_data() -> None:
    """The story must not be mixed into the figures of real people."""
    if Delivery.objects.exclude(hook_id=HOOK_ID).filter(installation_id__isnull=False).exists():
        raise CommandError(
            "This tformance holds deliveries of a real GitHub App; the sample story would stand among them. "
            "`make run` shows what is there; `.venv/bin/python manage.py demo --anyway` posts the story beside it."
        )


def open_sender(url: str) -> Sender:
    """GitHub, who knows the newest secret of this instance."""
    if not settings.GITHUB_WEBHOOK_SECRETS:
        raise CommandError("There is no webhook secret to sign with: set GITHUB_WEBHOOK_SECRETS.")
    try:
        return Sender(url, secret=settings.GITHUB_WEBHOOK_SECRETS[0])
    except ValueError as error:
        raise CommandError(str(error)) from error


def count_states() -> dict[str, int]:
    """The deliveries of the story by state."""
    rows = Delivery.objects.filter(hook_id=HOOK_ID).values_list("state").annotate(number=Count("pk"))
    return dict(rows)
