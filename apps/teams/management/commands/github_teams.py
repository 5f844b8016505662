"""The command `github_teams`: the teams that accounts have on GitHub, and teams made of them here."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.activity.models import GitHubTeam
from apps.teams.accounts import ProposalRefusedError, create_team, members_of
from apps.teams.models import Team


class Command(BaseCommand):
    help = "List the teams that accounts have on GitHub, as far as webhooks reported them, or make a team here of one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--create", type=int, metavar="ID", help="make a team of the one with this id on GitHub")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = Team.objects.filter(account__isnull=False).values("account")
        known = GitHubTeam.objects.filter(organization__in=accounts, is_deleted=False)
        if options["create"] is not None:
            self.create(known.filter(pk=options["create"]).first())
            return
        for one in known.select_related("organization", "team").order_by("organization__login", "name", "pk"):
            logins = ", ".join(str(member.contributor) for member in members_of([one.pk])) or "none known"
            made = f"; team {one.team.slug}" if hasattr(one, "team") else ""
            self.stdout.write(f"{one.pk} {one.organization}/{one.slug}: {logins}{made}")

    def create(self, github_team: GitHubTeam | None) -> None:
        if github_team is None:
            raise CommandError("No known team on GitHub has this id. Without --create, all of them are listed.")
        try:
            team = create_team(github_team)
        except ProposalRefusedError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Created the team {team.slug} with {team.members.count()} members.")
