"""The command `production`: what counts as a deployment to production for a team."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.command_help import Help
from apps.teams.models import DeploymentSource, Team

EXAMPLES = """
  production acme                                          what counts now
  production acme --environment live --environment 'prod*'  only these environments
  production acme --by-name                                those that GitHub or their name calls production again
  production acme --source workflow_runs --pattern '^deploy$'  runs of that workflow count too

preview_rules shows beforehand what a choice would change.
"""


class Command(BaseCommand):
    help = f"Show or choose what counts as a deployment to production for a team.\n{EXAMPLES}"

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help="slug")
        parser.add_argument("--environment", action="append", dest="environments", help="a name or pattern, repeatable")
        parser.add_argument("--by-name", action="store_true", help="no choice of your own")
        parser.add_argument("--source", choices=DeploymentSource.Kind.values, help="what counts as a deployment too")
        parser.add_argument("--pattern", default="", help="of the source: a regular expression")

    def handle(self, *args: Any, **options: Any) -> None:
        team = Team.objects.filter(slug=options["team"]).first()
        if team is None:
            raise CommandError(f"There is no team {options['team']!r}.", returncode=2)
        try:
            if options["environments"] or options["by_name"]:
                team.set_production(options["environments"] or [])
            if options["source"]:
                DeploymentSource.ensure(team, kind=options["source"], pattern=options["pattern"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        chosen = ", ".join(team.production_environments) or "those that GitHub or their name calls production"
        self.stdout.write(f"Environments of {team}: {chosen}")
        for rule in DeploymentSource.objects.filter(account=team.account_id) if team.account_id else ():
            self.stdout.write(f"Also deployments: {rule}")
