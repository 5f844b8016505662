"""Compare our tables with GitHub now, and repair what is off."""

import json
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from apps.common.command_help import Help
from apps.common.encryption import UndecryptableError
from apps.github.credentials import NoCredentialsError, app_credentials, has_credentials
from apps.integrations.backfill.start import CannotBeReadError, NothingToStartError
from apps.integrations.models import RepositorySync, SyncLog
from apps.integrations.reconciliation import schedule
from apps.integrations.reconciliation.run_console import (
    EXAMPLES,
    NOT_COMPARED,
    add_arguments,
    as_document,
    choices_in,
    found_in,
    found_table,
    outcome_lines,
    progress_of,
    run_table,
    scope_of,
    watch,
)
from apps.integrations.reconciliation.schedule import start

USAGE, INTERRUPTED = 2, 130
MOST_LISTED = 20


class Command(BaseCommand):
    help = """\
Compare our tables with GitHub now, in the background, and repair what is off,
as the workers do at night. Two equal unfinished starts are one run."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, epilog=EXAMPLES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.ending = ""  # the console ends its lines itself
        self.console = Console(file=cast(IO[str], self.stdout), highlight=False, markup=False, emoji=False)
        self._check_usage(options)
        if options["list"]:
            self._list(is_json=options["json"])
            return
        try:
            self._reconcile(options)
        except NothingToStartError as error:
            raise CommandError(str(error), returncode=1 if isinstance(error, CannotBeReadError) else USAGE) from error
        except (NoCredentialsError, UndecryptableError) as error:
            raise CommandError(f"GitHub cannot be asked: {error}") from error

    def _check_usage(self, options: dict[str, Any]) -> None:
        if choices_in(options) != 1:
            raise CommandError(
                "Say one: --repository OWNER/REPO, --team SLUG, --installation ID, --all or --list.", returncode=USAGE
            )
        if options["accept_mass_deletions"] and not options["full_names"]:
            raise CommandError("--accept-mass-deletions goes with --repository.", returncode=USAGE)
        if options["json"] and not options["list"]:
            raise CommandError("--json goes with --list.", returncode=USAGE)

    def _reconcile(self, options: dict[str, Any]) -> None:
        app_credentials()  # or a run is started that could never compare anything
        started = start(
            scope_of(options), is_thorough=not options["quick"], accepts_mass_deletions=options["accept_mass_deletions"]
        )
        name = started.sync.sync_id
        self.say(f"Run {name} started." if started.is_new else f"Run {name} compares this already.")
        if not (options["quick"] or started.sync.is_thorough):
            self.say("It began as a quick run. For a look at everything start this again when it is over.")
        if not schedule.enqueue_run(started.sync):
            self.say("The broker is away. The run is kept, and begins within a minute of its return.")
        if options["wait"]:
            self._wait(started.sync)
        else:
            self.say("`manage.py reconcile --list` shows how it stands.")

    def _wait(self, sync: SyncLog) -> None:
        try:
            progress = watch(sync, console=self.console)
        except KeyboardInterrupt:
            self.say("The run goes on. `manage.py reconcile --list` shows how it stands.")
            raise SystemExit(INTERRUPTED) from None
        found = found_in(RepositorySync.objects.filter(sync=sync))
        if found:
            self.console.print(found_table(found))
        for line in outcome_lines(progress):
            self.say(line)
        if not sync.is_thorough:
            self.say(NOT_COMPARED)
        if sync.status == SyncLog.Status.FAILED:
            raise CommandError("Not everything could be compared. Fix the problems above, then run this again.")

    def _list(self, *, is_json: bool) -> None:
        latest = [progress_of(sync) for sync in SyncLog.objects.order_by("-pk")[:MOST_LISTED]]
        if is_json:
            self.say(json.dumps([as_document(progress) for progress in latest]))
        elif latest:
            self.console.print(run_table(latest))
            failed = next((one for one in latest if one.sync.status == SyncLog.Status.FAILED), None)
            for line in (f"The last that failed, {failed.sync.sync_id}:", *outcome_lines(failed)) if failed else ():
                self.say(line)
        else:
            is_able = has_credentials()
            then = "The first night begins at 02:00 UTC." if is_able else "None begins without the App's key."
            self.say(f"No run was ever started. {then}")

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True)
