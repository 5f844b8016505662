"""The command `github_teams`: the teams that accounts have on GitHub, and teams made of them here."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.activity.models import GitHubTeam
from apps.teams.github_teams import ProposalRefusedError, create_team, members_of
from apps.teams.models import Team


class Command(BaseCommand):
    help = "List the teams that accounts have on GitHub, with their members, or make a team here of one."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--create", type=int, metavar="ID", help="make a team of the one with this id on GitHub")
        what.add_argument(
            "--keep-in-step",
            type=int,
            metavar="ID",
            help="everyone who joins or leaves it on GitHub joins or leaves the team that was made of it, from then",
        )
        what.add_argument("--stop", type=int, metavar="ID", help="no longer keep the team that was made of it in step")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = Team.objects.filter(account__isnull=False).values("account")
        known = GitHubTeam.objects.filter(organization__in=accounts, is_deleted=False)
        if options["create"] is not None:
            self.create(known.filter(pk=options["create"]).first())
        elif options["keep_in_step"] is not None:
            self.keep(options["keep_in_step"], is_kept_in_step=True)
        elif options["stop"] is not None:
            self.keep(options["stop"], is_kept_in_step=False)
        else:
            self.list(known)

    def list(self, known: Any) -> None:
        listed = list(known.select_related("organization", "team").order_by("organization__login", "name", "pk"))
        members = members_of(listed)
        for one in listed:
            logins = ", ".join(map(str, members[one.pk])) or "none known"
            step = ", kept in step" if hasattr(one, "team") and one.team.is_kept_in_step else ""
            made = f"; team {one.team.slug}{step}" if hasattr(one, "team") else ""
            self.stdout.write(f"{one.pk} {one.organization}/{one.slug}: {logins}{made}")

    def create(self, github_team: GitHubTeam | None) -> None:
        if github_team is None:
            raise CommandError("No known team on GitHub has this id. Without --create, all of them are listed.")
        try:
            team = create_team(github_team)
        except ProposalRefusedError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Created the team {team.slug} with {team.members.count()} members.")

    def keep(self, github_team: int, *, is_kept_in_step: bool) -> None:
        if not Team.objects.filter(github_team=github_team).update(is_kept_in_step=is_kept_in_step):
            raise CommandError(
                "No team was made of a team on GitHub with this id. --create ID makes one.", returncode=2
            )
        self.stdout.write("Kept in step from now on." if is_kept_in_step else "No longer kept in step.")
