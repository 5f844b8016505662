"""The command `send_digest`: a team's weekly digest, printed or sent now."""

from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.command_help import Help
from apps.metrics.digest import read_digest
from apps.metrics.management.commands.figures import find_team
from apps.notifications.digests import about_of, message_of
from apps.notifications.message_fan_out import page_url, queue
from apps.users.sign_in_limits import has_mail

EXAMPLES = """\
examples:
  manage.py send_digest acme --preview              print the digest of the last week
  manage.py send_digest acme --to ana@example.com   send it to this address alone
  manage.py send_digest acme                        send it to all who chose it and did not get it yet"""


class Command(BaseCommand):
    help = """\
Print a team's digest of the last week, or send it now. It is sent by itself on
Monday morning; nobody gets the same week twice."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, epilog=EXAMPLES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", nargs="?", help="slug or id")
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--preview", action="store_true", help="print it and send nothing")
        either.add_argument("--to", metavar="ADDRESS", help="send it to this address alone, at once")

    def handle(self, *args: Any, **options: Any) -> None:
        team = find_team(options["team"])
        digest = read_digest(team)
        message = message_of(digest)
        if options["preview"]:
            self.stdout.write(message.text.strip())
            return
        if options["to"] is None:
            count = queue(message, about=about_of(team, digest.week))
            self.stdout.write(f"{count} {'message is' if count == 1 else 'messages are'} being sent.")
            return
        if not has_mail():
            raise CommandError("This instance sends no mail: set EMAIL_URL.")
        mail = EmailMultiAlternatives(message.subject, message.text, to=[options["to"]])
        html = message.html.replace("{unsubscribe_url}", page_url("team-notifications", team.slug))
        mail.attach_alternative(html, "text/html")
        mail.send()
        self.stdout.write(f"Sent to {options['to']}.")
