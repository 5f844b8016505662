"""How the letterbox stands."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.webhooks.overview import look


class Command(BaseCommand):
    help = "Show how many deliveries are in each state, and how long the oldest has waited."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines: states, oldest_waiting_s, lag_s")

    def handle(self, *args: Any, **options: Any) -> None:
        overview = look()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(overview)))
            return
        for state, count in overview.states.items():
            self.stdout.write(f"{state:<12} {count:>9}")
        self.stdout.write(f"oldest waiting: {overview.oldest_waiting_s:.1f} s; overdue: {overview.lag_s:.1f} s")
