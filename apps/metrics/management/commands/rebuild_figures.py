"""The command `rebuild_figures`: rebuild derived rows, or check that a rebuild would change nothing."""

import sys
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.activity.models import Repository
from apps.metrics.management.commands.figures import find_team
from apps.metrics.rebuild import differences, rebuild_at_once
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

SHOWN = 50


class Command(BaseCommand):
    help = "Rebuild the derived rows of figures from the facts. Safe while the system runs; can be repeated."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="only check; exit with 1 if a rebuild would change rows"
        )
        parser.add_argument("--team", help="slug or id: only the repositories that it tracks")
        parser.add_argument("--repository", help="full name or id: only this repository")
        parser.add_argument(
            "--at-once",
            type=int,
            choices=range(1, 17),
            metavar="N",
            default=1,
            help="how many repositories are rebuilt at once (default: 1)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        repositories = list(chosen_repositories(options).order_by("pk").values_list("pk", flat=True))
        if options["check"]:
            self.check_rows(repositories)
        else:
            rebuild_at_once(repositories, threads=options["at_once"], progress=self.progress)
            self.stdout.write(f"Rebuilt {len(repositories)} repositories.")

    def check_rows(self, repositories: list[int]) -> None:
        counts: Counter[int] = Counter()
        for difference in differences(repositories, progress=self.progress):
            counts[difference.repository_id] += 1
            if counts.total() <= SHOWN:
                self.stdout.write(str(difference))
        if counts.total() > SHOWN:
            self.stdout.write(f"… and {counts.total() - SHOWN} more")
        for name, count in named(counts):
            self.stdout.write(f"{name}: {count}")
        equal = "" if counts else " (the figures equal a full rebuild)"
        self.stdout.write(f"difference: {counts.total()}{equal}")
        if counts:
            self.stderr.write("Derived rows differ from the facts. `manage.py rebuild_figures` fixes it.")
            sys.exit(1)

    def progress(self, noun: str, done: int, total: int) -> None:
        self.stderr.write(f"{noun}: {done} of {total}")


def named(counts: Counter[int]) -> list[tuple[str, int]]:
    """Return the counts by repository name, the highest first."""
    names = dict(Repository.objects.filter(pk__in=counts).values_list("pk", "full_name"))
    return [
        (f"{names.get(repository_id) or 'repository'} ({repository_id})", n)
        for repository_id, n in counts.most_common()
    ]


def chosen_repositories(options: dict[str, Any]) -> Any:
    rows = Repository.objects.all()
    if options["team"]:
        rows = repositories_of(Team.objects.filter(pk=find_team(options["team"]).pk))
    if name := options["repository"]:
        rows = rows.filter(Repository.with_id_or_name(name))
        if not rows.exists():
            raise CommandError(
                f"There is no repository {name!r}. Use a name like owner/name, or GitHub's id.", returncode=2
            )
    return rows
