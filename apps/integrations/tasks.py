"""What Celery runs to read GitHub. Messages carry ids; each task may run any number of times."""

from typing import Any

from celery import shared_task

from apps.github.credentials import has_credentials
from apps.integrations.reconciliation import fan_out, repository_verification, run_endings, schedule
from apps.integrations.reconciliation.run_endings import TeamSyncError


@shared_task(bind=True, name="apps.integrations.tasks.sync_repository", ignore_result=True)
def sync_repository(self: Any, repo_id: int, sync_id: str) -> None:
    """Run the next step of one repository in a run; others that wait share its request."""
    repository_verification.advance(repo_id, sync_id=sync_id, task_id=self.request.id or "")


@shared_task(name="apps.integrations.tasks.sync_all_github_data", ignore_result=True)
def sync_all_github_data(sync_id: str | None = None) -> bool:
    """Claim a run, if none is named the night that is due, and notify workers of each team in it.

    Beat runs it at 02:00 UTC (`daily-github-sync`); a night that no beat saw is opened by the dispatcher. Returns
    whether this call claimed the run: any number of calls at once make one run.
    """
    if not has_credentials():
        return False
    return fan_out.fan_out_run(sync_id or schedule.open_night(now=schedule.database_time()))


@shared_task(
    bind=True,
    name="apps.integrations.tasks.sync_github_data",
    ignore_result=True,
    # GitHub's errors and limits never come here: they wait in the rows of repositories.
    autoretry_for=(ConnectionError, TimeoutError),
    retry_backoff=True,
    retry_backoff_max=30,
    max_retries=3,
)
def sync_github_data(self: Any, team_id: int, sync_id: str | None = None) -> bool:
    """Fan out what a team tracks, in the run that is named or in one of its own; return whether that was left to do.

    Anything that fails all the same is repeated by the dispatcher, since the team run stays unfinished.
    """
    if not has_credentials():
        return False
    run = sync_id or schedule.start_for_team(team_id).sync.sync_id
    fan_out.fan_out_run(run)
    return fan_out.fan_out_team(team_id, sync_id=run)


@shared_task(name="apps.integrations.tasks.schedule_team_sync", ignore_result=True)
def schedule_team_sync(team_id: int) -> str | None:
    """Have a team compared as often as its `sync_frequency` says; return the sync_id of its next run.

    hourly: the next full hour; daily: the next night; off: nothing, and None. To compare now, use `sync_github_data`.
    """
    return schedule.schedule_team(team_id, now=schedule.database_time())


@shared_task(name="apps.integrations.tasks.conclude_team_sync", ignore_result=True, throws=(TeamSyncError,))
def conclude_team_sync(team_sync_id: int) -> None:
    """Succeed or fail as the team did in a run: one of the two callbacks writes the result into the team's row."""
    run_endings.require_success(team_sync_id)


@shared_task(name="apps.integrations.tasks.on_success", ignore_result=True)
def on_success(team_sync_id: int) -> bool:
    """Write into the team's row that all of it was compared: the callback (`link`) of conclude_team_sync."""
    return run_endings.notify_success(team_sync_id)


@shared_task(name="apps.integrations.tasks.on_failure", ignore_result=True)
def on_failure(team_sync_id: int) -> bool:
    """Write into the team's row what could not be compared: the callback (`link_error`) of conclude_team_sync."""
    return run_endings.notify_failure(team_sync_id)
