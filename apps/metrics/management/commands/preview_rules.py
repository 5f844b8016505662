"""The command `preview_rules`: what a rule would match and change, without saving it."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rest_framework.exceptions import ValidationError as InvalidParameterError

from apps.common.command_help import Help
from apps.metrics.figures import FIGURES
from apps.metrics.figures.formatting import as_words
from apps.metrics.management.commands.figures import find_team
from apps.metrics.preview_parameters import FIELDS, fields_of, in_words_of_the_request, make_preview
from apps.metrics.rule_previews import Compared, Preview, PreviewRefusedError
from apps.teams.models import AccountRule, DeploymentSource

EXAMPLES = """
  preview_rules acme deployment_source --source workflow_runs --pattern '^deploy$'
  preview_rules acme production --environment live --environment 'prod*' --window 90d
  preview_rules acme service --field environment --pattern 'production-(.*)' --service '\\1'
  preview_rules acme account --login k8s-ci-robot --account-class bot
  preview_rules acme incident --field label --pattern '^incident$' --most-hours 24 --repository acme/api
  preview_rules acme hotfix --replaces 3
"""
LINE = "{:<32} {:>14} {:>14}"
LONGEST_S = 120.0
PARTS = (
    "repository",
    "field",
    "pattern",
    "service",
    "source",
    "login",
    "account_class",
    "most_hours",
    "environments",
    "replaces",
)


class Command(BaseCommand):
    help = f"Show what a rule matches, and each figure before and after it, or its removal. Saves nothing.\n{EXAMPLES}"

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", nargs="?", help="slug or id")
        parser.add_argument("kind", nargs="?", choices=list(FIELDS), help=", ".join(FIELDS))
        parser.add_argument("--repository", help="only this repository of the team: full name or id")
        parser.add_argument("--field", help="what the pattern is of, such as environment, branch, label or title")
        parser.add_argument("--pattern", help="a regular expression; upper and lower case are the same")
        parser.add_argument("--service", help="the name of the service")
        parser.add_argument(
            "--source", choices=DeploymentSource.Kind.values, help="where deployments come from; for deployment_source"
        )
        parser.add_argument("--login", help="login of the account; for account")
        parser.add_argument(
            "--account-class", choices=AccountRule.AccountClass.values, help="what it counts as; for account"
        )
        parser.add_argument("--most-hours", type=int, help="hours from a deployment to its incidents; for incident")
        parser.add_argument(
            "--environment", action="append", dest="environments", help="a name or pattern, repeatable; for production"
        )
        parser.add_argument(
            "--replaces",
            type=int,
            metavar="ID",
            help="the rule that the new one would replace; without a new one, what removing it would do",
        )
        parser.add_argument(
            "--window", default="30d", help="the days of the figures, including today: 30d (default), 90d, …"
        )
        parser.add_argument("--json", action="store_true", help="print JSON; durations are in seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        team, kind = find_team(options["team"]), options["kind"]
        if kind is None:
            raise CommandError(f"Which kind of rule? {', '.join(FIELDS)}.", returncode=2)
        given = {name: options[name] for name in PARTS if options[name] is not None}
        if unknown := sorted(given.keys() - {*fields_of(kind)}):
            raise CommandError(f"A rule of kind {kind} has no {', '.join(unknown)}.", returncode=2)
        try:
            preview = make_preview(team, {"kind": kind, "window": options["window"], **given}, seconds=LONGEST_S)
        except ValidationError as error:
            messages = (f"{name}: {' '.join(words)}" for name, words in in_words_of_the_request(error).items())
            raise CommandError(" ".join(messages), returncode=2) from error
        except InvalidParameterError as error:
            raise CommandError(str(error.detail), returncode=2) from error
        except PreviewRefusedError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(preview.as_dict())) if options["json"] else self.show(preview)

    def show(self, preview: Preview) -> None:
        found = preview.as_dict()
        self.stdout.write(f"{found['matching']} match")
        for one in found["matches"]:
            self.stdout.write(f"  {one['name'] or '(empty)'}: {one['n']}")
        moved = ", ".join(f"{n} {name}{'' if n == 1 else 's'}" for name, n in found["moved"].items())
        self.stdout.write(f"would change: {moved or 'nothing'}")
        self.stdout.write(LINE.format("figure", "before", "after"))
        for one in preview.figures:
            self.stdout.write(line_of(one))


def line_of(one: Compared) -> str:
    """Return a line of the table; a figure that changes is marked."""
    before, after = (as_words(each.value, unit=each.unit) for each in (one.before, one.after))
    is_changed = (one.before.value, one.before.n) != (one.after.value, one.after.n)
    mark = " *" if is_changed else ""
    return LINE.format(FIGURES[one.before.figure].title, before, after) + mark
