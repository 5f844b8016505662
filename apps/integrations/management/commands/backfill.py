"""Read the history of repositories from GitHub, and look after what is being read."""

import json
from collections.abc import Sequence
from functools import partial
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q, QuerySet
from django.utils import timezone
from rich.console import Console

from apps.activity.models import Repository
from apps.common.command_help import Help
from apps.common.encryption import UndecryptableError
from apps.github.auth import github
from apps.github.credentials import NoCredentialsError, app_credentials
from apps.integrations.backfill.console import (
    EXAMPLES,
    add_arguments,
    backfill_table,
    forecast_view,
    unreachable_lines,
    watch,
)
from apps.integrations.backfill.github_item_counts import Effort
from apps.integrations.backfill.requests import RepositoryResolver
from apps.integrations.backfill.start import CannotBeReadError, NothingToStartError, Scope, Started, chosen, start
from apps.integrations.backfill.start_forecast import forecast
from apps.integrations.models import Backfill
from apps.integrations.models.backfills import BackfillQuerySet
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.changes import CHANGES, JobsBusyError, others_first
from apps.teams.models import Team

USAGE, INTERRUPTED = 2, 130
MOST_LISTED = 60
PATIENCE_S = 15.0
State = Backfill.State


class Command(BaseCommand):
    help = """\
Read the history of repositories from GitHub, stream by stream, in the
background. Two starts of one thing are one; what asks for more widens the first."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, epilog=EXAMPLES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.ending = ""  # the console ends its lines itself
        self.console = Console(file=cast(IO[str], self.stdout), highlight=False, markup=False, emoji=False)
        if options["json"] and not options["list"]:
            raise CommandError("--json goes with --list.", returncode=USAGE)
        try:
            self._do(options)
        except NothingToStartError as error:
            raise CommandError(str(error), returncode=1 if isinstance(error, CannotBeReadError) else USAGE) from error
        except JobsBusyError as error:
            raise CommandError(str(error)) from error
        except (NoCredentialsError, UndecryptableError) as error:
            raise CommandError(f"GitHub cannot be asked: {error}") from error

    def _do(self, options: dict[str, Any]) -> None:
        if options["list"]:
            self._list(options)
        elif any(options[change] for change in CHANGES):
            self._change(options)
        else:
            self._read(options)

    def _read(self, options: dict[str, Any]) -> None:
        self._require_choice(options)
        app_credentials()  # or nothing is started that could never be read
        scope = Scope(since=options["since"], until=options["until"], streams=options["streams"] or STREAM_NAMES)
        RepositoryResolver(access=github(), say=self.say).about(
            full_names=options["full_names"], installation_id=options["installation"], everything=options["all"]
        )
        repositories = self._chosen(options)
        if options["dry_run"]:
            self._forecast(repositories, scope=scope)
            return
        started = others_first(partial(start, repositories, scope=scope))
        self._say_started(started)
        if options["wait"] and started.backfills:
            self._wait(started)
        if started.unreachable:
            raise CommandError(f"{counted(len(started.unreachable), 'repository')} could not be started.")

    def _chosen(self, options: dict[str, Any]) -> QuerySet[Repository]:
        return chosen(
            full_names=options["full_names"],
            installation_id=options["installation"],
            team=self._team(options["team"]),
            everything=options["all"],
        )

    def _team(self, slug: str | None) -> Team | None:
        if slug is None:
            return None
        team = Team.objects.filter(slug=slug).first()
        if team is None:
            slugs = ", ".join(Team.objects.order_by("slug").values_list("slug", flat=True))
            raise CommandError(f"There is no team {slug!r}; there are {slugs or 'none yet'}.", returncode=USAGE)
        return team

    def _require_choice(self, options: dict[str, Any]) -> None:
        if not self._has_choice(options):
            raise CommandError(
                "Say which repositories: OWNER/REPO, --installation ID, --team SLUG or --all.", returncode=USAGE
            )

    def _has_choice(self, options: dict[str, Any]) -> bool:
        return any(options[name] for name in ("full_names", "installation", "team", "all"))

    def _say_started(self, started: Started) -> None:
        under_way = len(started.backfills) - started.new
        paused = sum(row.state == State.PAUSED for row in started.backfills)
        self.say(f"{counted(started.new, 'backfill')} started, {under_way:,} already running.")
        if paused:
            self.say(f"{counted(paused, 'backfill')} paused: --resume continues them.")
        for line in unreachable_lines(map(str, started.unreachable)):
            self.say(line)

    def _wait(self, started: Started) -> None:
        try:
            rows = watch([row.pk for row in started.backfills], console=self.console)
        except KeyboardInterrupt:
            self.say("The backfill continues. `manage.py backfill --list` shows its state, --cancel ends it.")
            raise SystemExit(INTERRUPTED) from None
        self._sum_up(rows)

    def _sum_up(self, rows: Sequence[Backfill]) -> None:
        for row in rows:
            for skipped in row.skipped:
                self.say(f"{row}: {skipped['what']} was left out: {skipped['why']}")
        unread = [row for row in rows if row.state != State.DONE]
        for row in unread:
            self.say(f"{row}: {row.state} {row.reason} {row.error}".rstrip())
        if unread:
            raise CommandError(f"{counted(len(unread), 'backfill')} did not finish; --retry continues failed ones.")
        read, points = sum(row.items for row in rows), sum(row.points for row in rows)
        self.say(f"Done: {counted(read, 'item')} read, {counted(points, 'point')} spent.")

    def _forecast(self, repositories: QuerySet[Repository], *, scope: Scope) -> None:
        found = forecast(repositories, scope=scope, access=github(), effort=Effort(patience_s=PATIENCE_S))
        self.console.print(forecast_view(found))
        if found.uncounted or found.unreachable:
            raise CommandError("Some of it could not be counted.")

    def _change(self, options: dict[str, Any]) -> None:
        self._require_choice(options)
        found = self._backfills(options)
        [change] = [change for name, change in CHANGES.items() if options[name]]
        noun = "failed backfill" if options["retry"] else "backfill"
        self.say(f"{counted(change.apply(found), noun)} {change.done}.")

    def _list(self, options: dict[str, Any]) -> None:
        newest = self._backfills(options).order_by("repository_id", "stream", "-pk").distinct("repository_id", "stream")
        rows = list(Backfill.objects.filter(pk__in=newest.values("pk")).select_related("repository"))
        if options["json"]:
            self.say(json.dumps([as_document(row) for row in rows]))
        elif rows:
            self.console.print(backfill_table(rows, now=timezone.now(), most=MOST_LISTED))
        else:
            self.say("Nothing was ever started there.")

    def _backfills(self, options: dict[str, Any]) -> BackfillQuerySet:
        """Whatever was started of the chosen repositories, also where no installation reaches them any more."""
        is_chosen = Q(installation=options["installation"]) if options["installation"] else Q()
        if options["full_names"] or options["team"]:
            named = chosen(full_names=options["full_names"], team=self._team(options["team"]))
            is_chosen |= Q(repository__in=named.order_by().values("pk"))
        found = Backfill.objects.filter(stream__in=options["streams"] or STREAM_NAMES)
        return found if options["all"] else found.filter(is_chosen)

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True)


def counted(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def as_document(row: Backfill) -> dict[str, Any]:
    """Return a backfill for machines; times in ISO 8601, UTC."""
    times = ("since", "until", "started_at", "not_before", "advanced_at", "created_at", "finished_at")
    plain = ("id", "stream", "state", "reason", "error", "items", "total", "pages", "page_size", "calls", "points")
    return {
        "repository": row.repository.full_name,
        "installation": row.installation_id,
        **{name: getattr(row, name) for name in (*plain, "attempts", "skipped")},
        **{name: at.isoformat() if (at := getattr(row, name)) else None for name in times},
    }
