"""The command `invite`: invitations to teams, by link or by mail."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.notifications.invitations import invite
from apps.teams.models import Invitation, Team
from apps.teams.team_roles import ROLES, AccessRefusedError


class Command(BaseCommand):
    help = "Invite somebody to a team: print a link that works once, for 7 days. It cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("team", help="the team's slug")
        parser.add_argument("--role", choices=list(ROLES), default="viewer", help="default: viewer")
        parser.add_argument("--email", default="", help="also send the link to this address")
        parser.add_argument("--list", action="store_true", help="list the open invitations of the team instead")
        parser.add_argument("--revoke", type=int, metavar="ID", help="end an open invitation instead")

    def handle(self, *, team: str, role: str, email: str, revoke: int | None, **options: Any) -> None:
        found = Team.objects.filter(slug=team).first()
        if found is None:
            raise CommandError(f"There is no team {team}.", returncode=2)
        if options["list"]:
            self.show(found)
        elif revoke is not None:
            if not Invitation.objects.filter(team=found, pk=revoke).revoke():
                raise CommandError(f"{team} has no open invitation {revoke}.")
            self.stderr.write(f"Revoked invitation {revoke}.")
        else:
            self.invite(found, role=role, email=email)

    def show(self, team: Team) -> None:
        for one in Invitation.objects.open().filter(team=team).select_related("invited_by"):
            author = one.invited_by or "the command line"
            self.stdout.write(
                f"{one.pk} {one.role} {one.email or 'by link'}, by {author}, until {one.expires_at:%Y-%m-%d}"
            )

    def invite(self, team: Team, *, role: str, email: str) -> None:
        try:
            issued = invite(team, role=role, email=email)
        except AccessRefusedError as error:
            raise CommandError(str(error), returncode=2) from error
        if email:
            self.stderr.write(f"Sent to {email}." if issued.is_mailed else f"The mail to {email} could not be sent.")
        self.stdout.write(issued.url)
