"""docs/figures.md, written from the registry."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.metrics.figures.registry import DEFINED, Figure

HEAD = """# Figures

Written by `manage.py describe_figures` from the registry of `apps/metrics`, as are the pages, the API and the command.

A figure is read for a team and a window `[start, end)` of local days in the team's time zone: an instant at midnight
belongs to the next window only. Medians and quantiles interpolate (R-7); nothing is averaged from daily medians.
Accounts that count as bots are left out unless asked for (`bots=include`, `bots=only`); GitHub's account type decides,
and a bot rule overrules it. Work counts for the teams whose member its author was at that time (`at_event`):
somebody in two teams counts in both, so teams may add up to more than the organisation. `as_of` asks what was true at
an instant.
"""


class Command(BaseCommand):
    """Print docs/figures.md."""

    help = "Print the definition of every figure as Markdown: docs/figures.md is this output."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(page(), ending="")


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(figure) for figure in DEFINED)])


def section(figure: Figure) -> str:
    """One figure: its definition, unit and the rules at its edges."""
    rules = "".join(f"- {rule}\n" for rule in figure.rules)
    return f"## {figure.title}\n\n`{figure.key}`, in {figure.unit}. {figure.definition}\n\n{rules}"
