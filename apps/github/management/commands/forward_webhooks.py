"""The command `forward_webhooks`: bring deliveries from a channel of smee.io to this machine."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from apps.common.command_help import Help
from apps.common.github_host import LOOPBACK
from apps.github.credentials import registration_in_use
from apps.webhooks.channel import ChannelError, Forwarder, check_address

EXAMPLES = """
  forward_webhooks                          from the channel that the App was created with
  forward_webhooks https://smee.io/abcdef   from this channel; set it as the webhook's URL on the App's page

For laptops: payloads pass through smee.io, and everybody who knows the channel can read them. Ctrl-C ends it.
"""


class Command(BaseCommand):
    help = f"Follow a channel and post each delivery that arrives there to the receiver.\n{EXAMPLES}"

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("channel", nargs="?", default="", help="https://smee.io/NAME, or of a smee of your own")
        parser.add_argument("--to", default="", help="the receiver (default: of this checkout)")

    def handle(self, *args: Any, **options: Any) -> None:
        receiver = options["to"] or f"{local_address()}{reverse('webhooks:github')}"
        try:
            channel = check_address(options["channel"] or channel_of_app())
        except ChannelError as error:
            raise CommandError(str(error), returncode=2) from error
        try:
            Forwarder(channel=channel, receiver=receiver, say=self.say).follow()
        except ChannelError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.say("Stopped.")

    def say(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()


def local_address() -> str:
    """Return where web listens on this machine."""
    is_local = urlsplit(settings.PUBLIC_URL).hostname in LOOPBACK
    return settings.PUBLIC_URL if is_local else f"http://127.0.0.1:{settings.PORT}"


def channel_of_app() -> str:
    """Return the channel that the App was created with; ChannelError without one."""
    registered = registration_in_use()
    posts_to = registered.webhook_url if registered is not None else ""
    if not posts_to or posts_to.startswith(settings.PUBLIC_URL):
        raise ChannelError(
            "Which channel? Create the App with one on the Setup page, or give its address: https://smee.io/NAME."
        )
    return posts_to
