"""The command `figures`: a team's figures as a table or as JSON."""

import json
from argparse import ArgumentTypeError
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from apps.metrics.completeness.descriptions import advise, explain_completeness, explain_gap
from apps.metrics.figures import (
    AI,
    FIGURES,
    Asked,
    Bots,
    FigureQuery,
    FigureReading,
    Granularity,
    Hours,
    UnknownFigureError,
    Window,
    read_figures,
)
from apps.metrics.figures.document import as_document
from apps.metrics.figures.figure_reader import completeness_by_figure, completeness_of
from apps.metrics.figures.formatting import as_words, sparkline, unit_beside
from apps.metrics.figures.suppression import least_of, words_of
from apps.teams.models import Team

ROW = "{:<30} {:>14} {:<13} {:>6} {:>12} {:>12} {:>12}  {}"
INCOMPLETE = "*"
TOO_FEW = "few"


class Command(BaseCommand):
    help = "Show a team's figures for a period of whole days in the team's time zone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", nargs="?", help="slug or id")
        parser.add_argument("--window", default="30d", help="the last days, including today: 7d, 30d (default), 90d, …")
        parser.add_argument("--from", dest="start", type=day, help="the first day, like 2026-03-02; needs --to")
        parser.add_argument("--to", dest="end", type=day, help="the day after the last one; needs --from")
        parser.add_argument("--figure", action="append", metavar="KEY", help=f"one or more of {', '.join(FIGURES)}")
        parser.add_argument("--bots", choices=[str(each) for each in Bots], default="exclude", help="default: exclude")
        parser.add_argument("--agents", choices=[str(each) for each in Bots], help="default: as bots")
        parser.add_argument("--ai", choices=[str(each) for each in AI], help="only pull requests with this evidence")
        parser.add_argument(
            "--hours",
            choices=[str(each) for each in Hours],
            default="wall",
            help="whether durations count all time (default) or the team's working time alone",
        )
        parser.add_argument(
            "--granularity", choices=[str(each) for each in Granularity], help="also show each day, week or month"
        )
        parser.add_argument("--json", action="store_true", help="print JSON; durations are in seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        team = find_team(options["team"])
        query = FigureQuery(
            team=team,
            window=chosen_window(team, options),
            bots=Bots(options["bots"]),
            agents=Bots(options["agents"]) if options["agents"] else None,
            ai=AI(options["ai"]) if options["ai"] else None,
            hours=Hours(options["hours"]),
        )
        asked = Asked(granularity=Granularity(options["granularity"]) if options["granularity"] else None)
        try:
            if options["json"]:
                self.stdout.write(
                    json.dumps(as_document(query, keys=options["figure"], asked=asked), cls=DjangoJSONEncoder)
                )
            else:
                self.show(query, read_figures(query, keys=options["figure"], asked=asked))
        except UnknownFigureError as error:
            raise CommandError(str(error), returncode=2) from error

    def show(self, query: FigureQuery, readings: list[FigureReading]) -> None:
        window = query.window
        hours = ", working hours" if query.hours is Hours.WORKING else ""
        self.stdout.write(f"{query.team.name}: {window.start} up to {window.end}, {window.time_zone}{hours}")
        self.show_completeness(query, keys=[reading.figure for reading in readings])
        self.stdout.write(ROW.format("figure", "value", "unit", "n", "mean", "p75", "p90", "").rstrip())
        complete = completeness_by_figure(query, keys=[reading.figure for reading in readings])
        for reading in readings:
            mark = f" {INCOMPLETE}" if complete[reading.figure].gaps else ""
            title = f"{FIGURES[reading.figure].title}{mark}"
            self.stdout.write(ROW.format(title, *columns(reading), bars(reading)).rstrip())
        if any(found.gaps for found in complete.values()):
            self.stdout.write(f"{INCOMPLETE} data may be missing, see above")
        if any(reading.is_suppressed for reading in readings):
            self.stdout.write(f"{TOO_FEW}: {words_of(least_of(query))}")

    def show_completeness(self, query: FigureQuery, *, keys: list[str]) -> None:
        found, names = completeness_of(query, keys=keys), query.report.names
        self.stdout.write(explain_completeness(found, report=query.report, now=datetime.now(UTC)))
        for gap in found.gaps:
            self.stdout.write(f"{INCOMPLETE} {explain_gap(gap, names=names)} {advise(gap)}")


def columns(reading: FigureReading) -> list[str]:
    values = [as_words(each, unit=reading.unit) for each in (reading.value, reading.mean, reading.p75, reading.p90)]
    unit = "" if reading.value is None else unit_beside(reading.unit, value=reading.value)
    return [values[0], unit, TOO_FEW if reading.is_suppressed else str(reading.n), *values[1:]]


def bars(reading: FigureReading) -> str:
    """Return the series as a line of bars, if it was asked for."""
    return sparkline([point.value for point in reading.series or ()])


def find_team(name: str | None) -> Team:
    """Return the team of that slug or id."""
    if name is None:
        raise CommandError(f"Which team? {known_teams()}", returncode=2)
    found = Team.objects.filter(slug=name).first()
    if found is None and name.isdecimal():
        found = Team.objects.filter(pk=int(name)).first()
    if found is None:
        raise CommandError(f"There is no team {name!r}. {known_teams()}", returncode=2)
    return found


def known_teams() -> str:
    """Return a sentence that names every team."""
    slugs = ", ".join(Team.objects.order_by("slug").values_list("slug", flat=True))
    return f"Teams: {slugs}." if slugs else "There are no teams yet: one is created when the App is installed."


def chosen_window(team: Team, options: dict[str, Any]) -> Window:
    start, end = options["start"], options["end"]
    if (start is None) != (end is None):
        raise CommandError("--from and --to must be used together.", returncode=2)
    try:
        if start is None:
            return Window.named(options["window"], time_zone=team.time_zone)
        return Window(start=start, end=end, time_zone=team.time_zone)
    except ValueError as error:
        raise CommandError(str(error), returncode=2) from error


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a date like 2026-03-02.") from error
