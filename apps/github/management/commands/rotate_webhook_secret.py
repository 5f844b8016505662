"""The command `rotate_webhook_secret`: a new webhook secret, without a refused delivery."""

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.command_help import Help
from apps.github import secret_rotation
from apps.github.auth import github
from apps.github.secret_rotation import Retired, Rotation, RotationError, rotation

EXAMPLES = """
  rotate_webhook_secret            all of it: a new secret, set at GitHub, proved, the old one retired
  rotate_webhook_secret --manual   print a new secret, for the App's page on GitHub; later run it again
  rotate_webhook_secret --status   which secrets are accepted, and which one GitHub signs with; --json for machines
  rotate_webhook_secret --cancel   delete the new secret, while GitHub does not sign with it
  rotate_webhook_secret --cancel --set-back   the same after GitHub was asked to: you have set the old one back there
"""
LOOK_EVERY_S = 1.0


class Command(BaseCommand):
    help = (
        "Rotate the secret of the App's webhook. Old and new are accepted until GitHub has signed with the new one.\n"
        f"{EXAMPLES}"
    )

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--manual", action="store_true", help="print the new secret instead of setting it")
        parser.add_argument("--status", action="store_true", help="change nothing")
        parser.add_argument("--cancel", action="store_true", help="delete the new secret")
        parser.add_argument(
            "--set-back", action="store_true", help="with --cancel: the old secret is set back on the App's page"
        )
        parser.add_argument("--json", action="store_true", help="with --status, print JSON")
        parser.add_argument(
            "--wait", type=float, default=60.0, help="seconds to wait for a delivery that is signed with it (60)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["status"]:
                self.show(rotation(), as_json=options["json"])
            elif options["cancel"]:
                secret_rotation.give_up(is_set_back=options["set_back"])
                self.stdout.write("The new secret is deleted, or ends in five minutes if GitHub was asked to use it.")
            elif options["manual"] and rotation().new is None:
                self.stdout.write(secret_rotation.begin().value)
                self.stderr.write("Put it into the App's page on GitHub, Webhook, Secret; then run this again.")
            else:
                self.rotate(wait_s=options["wait"], is_manual=options["manual"])
        except RotationError as error:
            raise CommandError(str(error)) from error

    def rotate(self, *, wait_s: float, is_manual: bool) -> None:
        """Take every step that is left."""
        if rotation().new is None:
            secret_rotation.begin()
            self.stdout.write("A new secret is accepted.")
        if not rotation().is_proven and not is_manual:
            secret_rotation.set_at_github(access=github())
            self.stdout.write("GitHub has it.")
            secret_rotation.ask_for_proof(access=github())
        self.wait_for_proof(wait_s=wait_s)
        self.say_retired(secret_rotation.retire())
        if any(each.is_of_environment for each in rotation().accepted):
            self.stdout.write("Remove GITHUB_WEBHOOK_SECRETS from the settings and restart: its secrets stay accepted.")

    def say_retired(self, retired: Retired) -> None:
        if retired.ended or not retired.kept:
            self.stdout.write("GitHub signs with it; the old secret is accepted for five more minutes.")
        for each in retired.kept:
            self.stdout.write(f"{each.slot} ({each.label}) stays accepted: {each.stays}.")

    def wait_for_proof(self, *, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while not rotation().is_proven:
            if time.monotonic() > until_s:
                raise CommandError(
                    "GitHub has sent nothing that is signed with the new secret yet. Both are accepted: run this again "
                    "after the next delivery."
                )
            time.sleep(LOOK_EVERY_S)

    def show(self, state: Rotation, *, as_json: bool) -> None:
        document = secret_rotation.as_document(state)
        if as_json:
            self.stdout.write(json.dumps(document, indent=2))
            return
        for each in state.accepted:
            signed = f"signed a delivery of {each.signed_at:%Y-%m-%d %H:%M} UTC" if each.signed_at else "signed nothing"
            until = f", accepted until {each.not_after:%H:%M} UTC" if each.not_after else ""
            stays = f", stays: {each.stays}" if each.stays else ""
            self.stdout.write(f"{each.slot}  {each.label}: {signed}{until}{stays}")
        if state.new is not None:
            self.stdout.write(f"A rotation to {state.new.slot} is under way; {state.refused} deliveries were refused.")
