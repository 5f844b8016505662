"""The command `register_app`: the manifest of the App, and the exchange of the code that GitHub gives for it."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.command_help import Help
from apps.github.auth import github
from apps.github.registration import Manifest, RegistrationError, installation_url, register
from apps.github.registration import webhook_url as our_webhook_url

EXAMPLES = """
The page Setup does all of this. Without it:
  register_app --manifest --organization acme   print the manifest, to be posted to the page that is named
  register_app CODE                             store the App of the code that GitHub leads the browser back with
"""


class Command(BaseCommand):
    help = f"Register the GitHub App from a manifest, and store its key and secrets encrypted.\n{EXAMPLES}"

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code", nargs="?", help="from the address that GitHub leads back to; good for one hour")
        parser.add_argument("--manifest", action="store_true", help="print the manifest")
        parser.add_argument("--organization", default="", help="the organisation that the App belongs to")
        parser.add_argument("--name", default="tformance", help="the name of the App, unique on GitHub")
        parser.add_argument("--webhook-url", default="", help="where GitHub posts to, such as a smee channel")

    def handle(self, *args: Any, **options: Any) -> None:
        webhook_url = options["webhook_url"] or our_webhook_url()
        if options["manifest"]:
            manifest = Manifest(name=options["name"], organization=options["organization"], webhook_url=webhook_url)
            self.stderr.write(f"Post it as the field `manifest` to {manifest.url()}")
            self.stdout.write(json.dumps(manifest.document(), indent=2))
            return
        if not options["code"]:
            raise CommandError("Give the code, or --manifest.", returncode=2)
        try:
            registered = register(options["code"], access=github(), webhook_url=webhook_url)
        except RegistrationError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Stored {registered}. Install it: {installation_url(registered.slug)}")
