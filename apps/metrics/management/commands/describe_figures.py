"""docs/figures.md, written from the registry."""

from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand

from apps.metrics.figures.figure import Figure
from apps.metrics.figures.registry import DEFINED

HEAD = """# Figures

Written by `manage.py describe_figures` from the registry of `apps/metrics`, as are the pages, the API and the command.

A figure is read for a team and a window `[start, end)` of local days in the team's time zone: an instant at midnight
belongs to the next window only. Medians and quantiles interpolate (R-7); nothing is averaged from daily medians. Bots
are left out unless requested (`bots=include`, `bots=only`); GitHub's account type and lists of robots decide, and a
rule for the account overrides them. Agents, which are bots that write pull requests for somebody, are left out too,
unless requested (`agents=include`; if absent, as `bots`): then a pull request counts for the team of the person it is
attributed to. `ai=assisted` (or `authored`, `reviewed`, `any`, `none`) restricts figures to the pull requests with this
evidence of AI tools. Work is attributed to the teams its author belonged to at the time (`attribution=at_event`), or
belongs to now (`current`): a member of two teams counts in both, so teams may add up to more than the organisation.
`service` restricts figures of deployments and incidents to services. `as_of` asks what was true at an instant.

Rows of the period that do not count are counted by reason, and listed: together with those that count they are all.
`bot`, `agent`, `human`: by the choice of bots and agents; `not_a_member`: the account was not in the team at the time.
Series are of local days, weeks from Monday, or months, cut at the ends of the window; a bucket that is cut or has not
ended is `partial`. Each bucket is computed from its own rows: counts add up to the whole, medians do not.

Small groups: in the team of an account that has other teams, figures by `author` and by `ai` (as groups, or as
filters) show no part of fewer than 5 rows (`SMALLEST_GROUP_ACROSS_TEAMS`), nor one that leaves fewer, nor the only
other part, from which the whole would show it: its value is null and `is_suppressed`, and its list is refused. In other
teams every part is shown (`SMALLEST_GROUP`, 1). A team's own figures and lists are never suppressed, nor is one's own
work from oneself; so this hides small numbers of a breakdown, and not what pull requests people made.

With `hours=working`, every duration counts the team's working time alone: its working days and hours in its time zone,
without the public holidays of its place (Monday to Friday from 9 to 17 without holidays, unless the team says
otherwise).

Each figure has `complete_until`, up to when everything that GitHub had is stored, and `gaps`, periods of the window
before then in which data may be missing. Complete is what was read from GitHub, and what deliveries reported while
GitHub's delivery log was scanned completely and the App had access to the repository; never beyond the oldest
unprocessed delivery. A figure has only the gaps of its streams. Nothing after `complete_until` is a gap: it is not
known yet. Null means unverified: a stream of the figure was never read to its end, for example without the App's key.
A repository that the App lost access to delays nothing: it counts up to the loss, which is a gap.
"""


class Command(BaseCommand):
    """Print docs/figures.md."""

    help = "Print the definition of every figure as Markdown: docs/figures.md is this output."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(page(), ending="")


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(section(figure) for figure in DEFINED)])


def section(figure: Figure) -> str:
    """Return the section of a figure: its definition, unit, rules, variants, dimensions, and what it leaves out."""
    items = [*figure.rules, *(f"Variant `{name}`: {one.definition}" for name, one in figure.variants.items())]
    items.append(f"By {named(figure.dimensions)}.")
    if figure.reasons:
        items.append(f"Left out, counted and listed: {named(figure.reasons)}.")
    back = " What began before the window counts too." if figure.looks_back else ""
    streams = " and ".join(f"`{stream}`" for stream in figure.streams)
    items.append(f"Complete as far as {streams} of the team's repositories are.{back}")
    rules = "".join(f"- {item}\n" for item in items)
    head = f"`{figure.key}`, in {figure.unit}, version {figure.version}. {figure.definition}"
    return f"## {figure.title}\n\n{head}\n\n{rules}"


def named(names: Iterable[str]) -> str:
    """Return names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)
