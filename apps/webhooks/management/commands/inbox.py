"""The command `inbox`: deliveries by state, and how long they wait."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.metrics.figures.formatting import duration
from apps.webhooks.inbox_overview import Overview, count_finished, look
from apps.webhooks.models import Delivery

State = Delivery.State
MEANINGS = {
    State.RECEIVED: "waits for a worker",
    State.RUNNING: "being processed",
    State.FAILED: "waits for its next attempt",
    State.QUARANTINED: "authentic, but unusable: see the reason in the admin",
    State.DEAD: "given up: fix the cause, then replay it",
    State.PROCESSED: "done",
    State.IGNORED: "nothing to do",
}


class Command(BaseCommand):
    help = "Show the number of deliveries in each state, and how long unfinished ones have waited."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON: states, oldest_waiting_s, lag_s")

    def handle(self, *args: Any, **options: Any) -> None:
        overview = look()
        states = overview.states | count_finished()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(overview) | {"states": states}))
            return
        for state, meaning in MEANINGS.items():
            self.stdout.write(f"{state:<12} {states[state]:>9,}  {meaning}")
        self.stdout.write(f"\n{waiting(overview)}")


def waiting(overview: Overview) -> str:
    """Return a sentence on how long unfinished deliveries have waited."""
    unfinished = sum(overview.states[state] for state in Delivery.UNFINISHED)
    if not unfinished:
        return "No delivery is waiting."
    overdue = f"; overdue by {duration(overview.lag_s)}. Is a worker running?" if overview.lag_s >= 1 else ""
    return f"The oldest waiting delivery arrived {duration(overview.oldest_waiting_s)} ago{overdue or '.'}"
