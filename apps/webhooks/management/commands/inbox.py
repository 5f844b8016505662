"""How the inbox stands."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.metrics.figures.formatting import duration
from apps.webhooks.models import Delivery
from apps.webhooks.overview import Overview, count_with_effect, look

State = Delivery.State
MEANINGS = {
    State.RECEIVED: "kept, waits for a worker",
    State.RUNNING: "a worker has it",
    State.FAILED: "waits for its next attempt",
    State.QUARANTINED: "authentic and unusable; somebody should look",
    State.DEAD: "given up; replay it once the cause is mended",
    State.PROCESSED: "took effect",
    State.IGNORED: "nothing to do for it",
}


class Command(BaseCommand):
    help = "Show how many deliveries are in each state, and how long those without an end have waited."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines: states, oldest_waiting_s, lag_s")

    def handle(self, *args: Any, **options: Any) -> None:
        overview = look()
        states = overview.states | count_with_effect()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(overview) | {"states": states}))
            return
        for state, meaning in MEANINGS.items():
            self.stdout.write(f"{state:<12} {states[state]:>9,}  {meaning}")
        self.stdout.write(f"\n{waiting(overview)}")


def waiting(overview: Overview) -> str:
    """How long somebody has been kept waiting."""
    unfinished = sum(overview.states[state] for state in Delivery.UNFINISHED)
    if not unfinished:
        return "Nothing waits."
    overdue = f"; due for {duration(overview.lag_s)}: does a worker run?" if overview.lag_s >= 1 else ""
    return f"The oldest that waits came {duration(overview.oldest_waiting_s)} ago{overdue or '.'}"
