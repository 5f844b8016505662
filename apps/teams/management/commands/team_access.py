"""The command `team_access`: who has access to which team, and users who may no longer sign in."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.teams.models import Team, TeamAccess
from apps.teams.team_roles import ROLES
from apps.users.models import CustomUser


class Command(BaseCommand):
    help = "List who has access to which team, change it, or deactivate a user."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", nargs="?", help="without one, all users are listed")
        parser.add_argument("--team", help="the slug of the team whose access is changed")
        parser.add_argument("--role", choices=list(ROLES), help="the user's role in the team from now on")
        parser.add_argument("--remove", action="store_true", help="take the user's access to the team")
        parser.add_argument("--deactivate", action="store_true", help="end the user's sessions and tokens")
        parser.add_argument("--activate", action="store_true", help="let the user sign in again")

    def handle(self, *, username: str | None, team: str | None, **options: Any) -> None:
        if username is None:
            self.show()
            return
        user = CustomUser.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username}.", returncode=2)
        if options["deactivate"] or options["activate"]:
            CustomUser.objects.filter(pk=user.pk).update(is_active=options["activate"])
            self.stderr.write(f"{user} {'can sign in again' if options['activate'] else 'is deactivated'}.")
        elif team is not None and (options["role"] or options["remove"]):
            self.change(user, team=team, role=options["role"])
        else:
            raise CommandError(
                "Say what to change: --team with --role or --remove, --deactivate, --activate.", returncode=2
            )

    def change(self, user: CustomUser, *, team: str, role: str | None) -> None:
        found = Team.objects.filter(slug=team).first()
        if found is None:
            raise CommandError(f"There is no team {team}.", returncode=2)
        if role:
            TeamAccess.objects.update_or_create(team=found, user=user, defaults={"role": role})
        else:
            TeamAccess.objects.filter(team=found, user=user).delete()
        self.stderr.write(f"{user} {f'is now {role} of' if role else 'has no access to'} {team}.")

    def show(self) -> None:
        for user in CustomUser.objects.prefetch_related("team_accesses__team").order_by("username"):
            roles = [f"{access.team.slug} ({access.role})" for access in user.team_accesses.all()]
            said = ["operator"] if user.is_superuser else roles or ["no team"]
            self.stdout.write(f"{user}: {', '.join(said)}{'' if user.is_active else ', deactivated'}")
