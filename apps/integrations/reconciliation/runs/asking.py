"""What `manage.py reconcile` may be asked."""

from typing import Any

from django.core.management.base import CommandParser

from apps.activity.models import Repository
from apps.integrations.backfill.asking import full_name
from apps.integrations.backfill.starting import CannotBeReadError, NothingToStart, chosen
from apps.integrations.reaching import installation_reaching
from apps.integrations.reconciliation.runs.scopes import (
    EVERYTHING,
    MOST_REPOSITORIES,
    Scope,
    of_installation,
    of_repositories,
    of_team,
)
from apps.teams.models import Team

EXAMPLES = """\
examples:
  manage.py reconcile --all --wait               everything we reach, and watch
  manage.py reconcile --team acme                what a team tracks
  manage.py reconcile --repository acme/api --wait
  manage.py reconcile --all --quick              only what changed, as at night
  manage.py reconcile --repository acme/api --believe-deletions
                                                 after deletions_not_believed
  manage.py reconcile --installation 7
  manage.py reconcile --list                     the latest runs

Exit code: 0 done, 1 something could not be compared or cannot be done,
2 usage, 130 interrupted while watching."""


def add_arguments(parser: CommandParser) -> None:
    """What to compare, or what to show instead."""
    which = parser.add_argument_group("what to compare (one of these), or to show")
    which.add_argument("--team", metavar="SLUG", help="all that the team tracks")
    which.add_argument(
        "--repository",
        type=full_name,
        action="append",
        metavar="OWNER/REPO",
        dest="full_names",
        help="this repository; repeat it for several",
    )
    which.add_argument("--installation", type=int, metavar="ID", help="all that the installation reaches")
    which.add_argument("--all", action="store_true", help="all that any installation reaches, as at night")
    which.add_argument("--list", action="store_true", help="show the latest runs instead of starting one")
    parser.add_argument(
        "--believe-deletions",
        action="store_true",
        help="with --repository: what GitHub has no more is deleted, however much it is",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="as at night: what changes without a trace (deleted comments, open pull requests, deployments and"
        " workflow runs of the last month) is looked at only where it is its turn, one night in seven",
    )
    parser.add_argument("--wait", action="store_true", help="watch until it is over; Ctrl-C only stops watching")
    parser.add_argument("--json", action="store_true", help="with --list: for machines")


def choices_in(options: dict[str, Any]) -> int:
    """How many things were named of which one may be."""
    named = [options[name] for name in ("team", "full_names", "all", "list")]
    return sum(map(bool, named)) + (options["installation"] is not None)


def scope_of(options: dict[str, Any]) -> Scope:
    """What was named; NothingToStart where it cannot be compared."""
    if options["team"]:
        return of_team(_team(options["team"]).pk)
    if options["full_names"]:
        return of_repositories(_repositories(options["full_names"]))
    if options["installation"] is not None:
        chosen(installation_id=options["installation"])
        return of_installation(options["installation"])
    chosen(everything=True)
    return Scope(EVERYTHING)


def _team(slug: str) -> Team:
    team: Team | None = Team.objects.filter(slug=slug).first()
    if team is None:
        slugs = ", ".join(Team.objects.order_by("slug").values_list("slug", flat=True))
        raise NothingToStart(f"There is no team {slug!r}; there are {slugs or 'none yet'}.")
    if not team.is_approved:
        raise CannotBeReadError(
            f"Team {slug} waits for approval: approve it in the admin, or name it in ALLOWED_ACCOUNTS."
        )
    _require_reached(chosen(team=team).values_list("pk", flat=True), what=f"what team {slug} tracks")
    return team


def _repositories(full_names: list[str]) -> list[int]:
    ids = [repository.pk for repository in chosen(full_names=full_names)]
    if len(ids) > MOST_REPOSITORIES:
        raise NothingToStart(f"Name at most {MOST_REPOSITORIES} repositories, or a team, or an installation.")
    reached = installation_reaching(ids)
    lost = Repository.objects.filter(pk__in=set(ids) - set(reached)).order_by("full_name")
    if lost:
        names = ", ".join(map(str, lost))
        raise CannotBeReadError(f"No installation of the App reaches {names}: give it access there on GitHub.")
    return ids


def _require_reached(repository_ids: Any, *, what: str) -> None:
    if not installation_reaching(list(repository_ids)):
        raise CannotBeReadError(f"No installation of the App reaches {what}: give it access there on GitHub.")
