"""The fan-out of a run to teams and their repositories. Repeating it changes nothing."""

import logging
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.activity.facts import ListingNeeded, Source, evidence
from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.activity.record import record
from apps.common.db import lock_unclaimed
from apps.common.failpoints import failpoint
from apps.github.probes import MOST_AT_ONCE
from apps.github.rate_limit import Priority
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.readable_installations import installation_reaching, readable_installations
from apps.integrations.reconciliation import schedule
from apps.integrations.reconciliation.schedule import (
    EVERYTHING,
    INSTALLATION,
    NIGHTLY,
    REPOSITORIES,
    TEAM,
    Scope,
    database_time,
    parse_scope,
    synced_teams,
)
from apps.jobs.wakeups import enqueue_due
from apps.teams.account_teams import accepted_accounts
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

SOURCE = Source(kind="api", key="reconciliation")
UNREACHED = (
    "No installation of the App reaches any of its {} repositories: give the App access to them on GitHub and see that"
    " it is not suspended there, or switch the team's reconciliation off."
)
logger = logging.getLogger(__name__)


def fan_out_run(sync_id: str) -> bool:
    """Create a row for each team and each repository outside of teams; return whether this call claimed the run."""
    with transaction.atomic():
        sync = lock_unclaimed(SyncLog.objects.due().filter(sync_id=sync_id)).first()
        if sync is None:
            return False
        failpoint("run.after_claim")
        scope = parse_scope(sync.scope)
        SyncLog.objects.filter(pk=sync.pk).update(status=SyncLog.Status.RUNNING, started_at=Now())
        teams = _teams_in(scope, cause=sync.cause)
        TeamSync.objects.bulk_create(
            [TeamSync(sync=sync, team_id=pk) for pk in teams.values_list("pk", flat=True)], ignore_conflicts=True
        )
        failpoint("run.before_commit")
        verify_each(sync.pk, _reached(_repositories_in(scope)))
        _request_listings(_installations_in(scope))
    logger.info("sync_fanned_out", extra={"sync": sync_id})
    note_fanned_out(sync.pk)
    schedule.enqueue_team_runs(sync.pk)
    enqueue_due()
    return True


def fan_out_team(team_id: int, *, sync_id: str) -> bool:
    """Create a row for each repository that the team tracks; return whether this call claimed the team run.

    A repository that no installation reaches cannot be compared and gets no row. If none is reached, the team fails.
    """
    with transaction.atomic():
        team_runs = TeamSync.objects.filter(team=team_id, sync__sync_id=sync_id, status=TeamSync.Status.WAITING)
        team_run = lock_unclaimed(team_runs).first()
        if team_run is None:
            return False
        tracked = _known(repositories_of(Team.objects.filter(pk=team_id)))
        reached = _reached(tracked)
        verify_each(team_run.sync_id, reached)
        failpoint("run.before_team")
        TeamSync.objects.filter(pk=team_run.pk).update(
            status=TeamSync.Status.RUNNING,
            repository_ids=sorted(reached),
            error=UNREACHED.format(f"{len(tracked):,}") if tracked and not reached else "",
            notified_at=None,
        )
        Team.objects.filter(pk=team_id).note_sync(last_sync_status=Team.SyncStatus.RUNNING)
    note_fanned_out(team_run.sync_id)
    enqueue_due()
    return True


def note_fanned_out(*sync_ids: int) -> None:
    """Mark the runs whose team runs are all fanned out; every run, if none is named."""
    waiting = TeamSync.objects.filter(sync=OuterRef("pk"), status=TeamSync.Status.WAITING)
    SyncLog.objects.filter(
        ~Exists(waiting),
        Q(pk__in=sync_ids) if sync_ids else Q(),
        status=SyncLog.Status.RUNNING,
        is_fanned_out=False,
    ).update(is_fanned_out=True)


def _teams_in(scope: Scope, *, cause: str) -> QuerySet[Team]:
    """Return the teams of a run; a scheduled run leaves out a team that was switched off meanwhile."""
    if scope.kind == NIGHTLY:
        return synced_teams()
    if scope.kind == EVERYTHING:
        approved: QuerySet[Team] = Team.objects.filter(is_approved=True)
        return approved
    teams = synced_teams() if cause == SyncLog.Cause.SCHEDULED else Team.objects.all()
    named: QuerySet[Team] = teams.filter(pk__in=scope.ids if scope.kind == TEAM else ())
    return named


def _repositories_in(scope: Scope) -> list[int]:
    """Return the repositories that are compared whether or not a team tracks them."""
    if scope.kind == REPOSITORIES:
        return _known(Repository.objects.filter(pk__in=scope.ids))
    accesses = RepositoryAccess.objects.filter(has_access=True)
    if scope.kind == INSTALLATION:
        return _known(
            Repository.objects.filter(pk__in=accesses.filter(installation=scope.only_id).values("repository"))
        )
    if scope.kind == EVERYTHING:
        readable = accesses.filter(installation__in=readable_installations().values("pk"))
        return _known(Repository.objects.filter(pk__in=readable.values("repository")))
    return []


def _installations_in(scope: Scope) -> QuerySet[Installation]:
    """Return the installations to list with the run: a webhook about access, names or suspension may be lost."""
    ours = Installation.objects.filter(deleted_at=None, account__in=accepted_accounts().values("pk"))
    if scope.kind in {NIGHTLY, EVERYTHING}:
        return ours
    if scope.kind == INSTALLATION:
        return ours.filter(pk=scope.only_id)
    if scope.kind == REPOSITORIES:
        return ours.filter(accesses__repository__in=scope.ids, accesses__has_access=True).distinct()
    tracked = repositories_of(Team.objects.filter(pk__in=scope.ids)).order_by()
    accesses = RepositoryAccess.objects.filter(has_access=True, repository__in=tracked.values("pk"))
    accounts = Team.objects.filter(pk__in=scope.ids, account__isnull=False).order_by().values("account")
    return ours.filter(Q(account__in=accounts) | Q(pk__in=accesses.values("installation")))


def _request_listings(installations: QuerySet[Installation]) -> None:
    now = database_time()
    needed = [ListingNeeded(github_id=pk, needs_listing_at=now) for pk in installations.values_list("pk", flat=True)]
    record([evidence(SOURCE, needed)])


def _known(repositories: QuerySet[Repository]) -> list[int]:
    return list(repositories.filter(deleted_at=None).order_by().values_list("pk", flat=True))


def _reached(repository_ids: list[int]) -> dict[int, int]:
    return installation_reaching(repository_ids) if repository_ids else {}


def verify_each(sync_id: int, reached: dict[int, int]) -> None:
    """Create the jobs that verify these repositories in the run, each once."""
    parameters: dict[str, Any] = {
        "kind": RepositorySync.KIND,
        "sync": sync_id,
        "priority": Priority.RECONCILIATION,
        "most": MOST_AT_ONCE,
        "repositories": list(reached),
        "installations": list(reached.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, parameters)


_INSERT = """
WITH job AS (
    INSERT INTO jobs_job (kind, key, installation_id, priority, page_size, skipped)
    SELECT %(kind)s, %(sync)s || '/' || reached.repository_id, reached.installation_id, %(priority)s, %(most)s, '[]'
    FROM unnest(%(repositories)s::bigint[], %(installations)s::bigint[]) AS reached (repository_id, installation_id)
    WHERE NOT EXISTS (
        SELECT FROM integrations_repositorysync s
        WHERE s.sync_id = %(sync)s AND s.repository_id = reached.repository_id
    )
    ORDER BY reached.repository_id
    ON CONFLICT (kind, key) WHERE state IN ('waiting', 'running', 'paused') DO NOTHING
    RETURNING id, split_part(key, '/', 2)::bigint AS repository_id
)
INSERT INTO integrations_repositorysync (job_ptr_id, sync_id, repository_id, marks, differs)
SELECT job.id, %(sync)s, job.repository_id, '{}', '{}' FROM job
"""
