"""The command `notify`: who is notified of what, and the webhooks of a team or of the instance."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.command_help import Help
from apps.metrics.management.commands.figures import find_team
from apps.notifications.channels import ChannelError, add_channel
from apps.notifications.message_fan_out import queue_test
from apps.notifications.models import AlertThreshold, Channel, Subscription, Topic, WebhookMessage
from apps.teams.models import Team
from apps.users.models import CustomUser

USAGE = 2
INSTANCE = "instance"
EXAMPLES = """\
examples:
  manage.py notify acme                                   who is notified of what, and the webhooks
  manage.py notify acme --user ana --topic digest --mail  ana gets the digest by mail
  manage.py notify acme --user ana --topic digest --off   and no longer
  manage.py notify acme --add slack https://hooks.slack.com/services/… --name '#figures' --topic digest
  manage.py notify acme --add signed https://example.com/hook --name CI --topic stuck --topic silence
  manage.py notify acme --test 3                          send a test to webhook 3
  manage.py notify acme --remove 3
  manage.py notify acme --stuck-days 5                    when a pull request counts as stuck
  manage.py notify instance --user ops --topic silence --note --mail"""


class Command(BaseCommand):
    help = "Show or change who is notified of a team's digest and alerts, and how; or of the instance."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, epilog=EXAMPLES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("team", help=f"slug or id of a team, or {INSTANCE}")
        parser.add_argument("--user", metavar="NAME", help="whose choice to change; needs --topic")
        parser.add_argument("--topic", action="append", choices=Topic.values, default=[], help="repeatable")
        parser.add_argument("--mail", action="store_true", help="by e-mail")
        parser.add_argument("--note", action="store_true", help="by a note in the dashboard")
        parser.add_argument("--off", action="store_true", help="no longer")
        parser.add_argument("--add", nargs=2, metavar=("KIND", "ADDRESS"), help="add a webhook: slack or signed")
        parser.add_argument("--name", help="the name of the webhook that is added")
        parser.add_argument("--test", type=int, metavar="ID", help="send a test to the webhook")
        parser.add_argument("--remove", type=int, metavar="ID", help="remove the webhook")
        parser.add_argument("--stuck-days", type=int, metavar="DAYS", help="when a pull request counts as stuck")

    def handle(self, *args: Any, **options: Any) -> None:
        team = None if options["team"] == INSTANCE else find_team(options["team"])
        if options["user"]:
            self._choose(team, options)
        elif options["add"]:
            self._add(team, options)
        elif options["test"]:
            channel = self._channel(team, options["test"])
            if not queue_test(channel):
                raise CommandError(f"The last test to {channel} is not finished. Wait for its result.")
            self.stdout.write(f"A test is being sent to {channel}.")
        elif options["remove"]:
            self._channel(team, options["remove"]).delete()
            self.stdout.write("Removed.")
        elif options["stuck_days"] is not None:
            self._set_stuck_days(team, options["stuck_days"])
        self._list(team)

    def _set_stuck_days(self, team: Team | None, days: int) -> None:
        if team is None or not 1 <= days <= AlertThreshold.MOST_DAYS:
            most = AlertThreshold.MOST_DAYS
            raise CommandError(f"Name a team, and a number of days from 1 to {most}.", returncode=USAGE)
        AlertThreshold.objects.update_or_create(team=team, defaults={"stuck_days": days})

    def _choose(self, team: Team | None, options: dict[str, Any]) -> None:
        user = CustomUser.objects.filter(username=options["user"]).first()
        if user is None or not options["topic"]:
            words = f"There is no user {options['user']!r}." if user is None else "Name a topic: --topic digest."
            raise CommandError(words, returncode=USAGE)
        if not options["off"] and not (options["mail"] or options["note"]):
            raise CommandError("Say how: --mail, --note or --off.", returncode=USAGE)
        for topic in options["topic"]:
            by_note, by_mail = (options[way] and not options["off"] for way in ("note", "mail"))
            Subscription.choose(user, team, Topic(topic), by_note=by_note, by_mail=by_mail)

    def _add(self, team: Team | None, options: dict[str, Any]) -> None:
        kind, url = options["add"]
        if kind not in Channel.Kind.values or not options["name"]:
            raise CommandError("Use --add slack ADDRESS --name NAME, or --add signed.", returncode=USAGE)
        try:
            channel = add_channel(team, name=options["name"], kind=kind, url=url, topics=options["topic"])
        except ChannelError as error:
            raise CommandError(str(error)) from error
        if channel.secret:
            self.stdout.write(f"Its messages are signed with this secret, which is shown only now: {channel.secret}")

    def _channel(self, team: Team | None, number: int) -> Channel:
        channel = Channel.objects.filter(team=team, pk=number).first()
        if channel is None:
            raise CommandError(f"There is no webhook {number}.", returncode=USAGE)
        return channel

    def _list(self, team: Team | None) -> None:
        chosen = Subscription.objects.filter(team=team).select_related("user").order_by("user__username", "topic")
        for one in chosen:
            ways = [way for way, is_on in (("note", one.by_note), ("mail", one.by_mail)) if is_on]
            if ways:
                self.stdout.write(f"{one.user}: {one.topic} by {' and '.join(ways)}")
        for channel in Channel.objects.filter(team=team):
            last = WebhookMessage.objects.filter(channel=channel).order_by("-pk").first()
            result = f"last {last.state} {last.error}".rstrip() if last else "nothing sent yet"
            topics = ", ".join(channel.topics) or "nothing"
            self.stdout.write(
                f"webhook {channel.pk}: {channel} ({channel.kind}, {channel.shown_url}): {topics}; {result}"
            )
