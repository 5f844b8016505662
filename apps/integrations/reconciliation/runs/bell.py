"""Telling the workers of runs. Messages are hints: one too many does nothing, and a lost one is sent again."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.github.credentials import has_credentials
from apps.integrations.models import SyncLog, TeamSync
from apps.integrations.reconciliation.runs.scopes import TEAM, parse_scope
from apps.webhooks.bell import ring

ALL_TASK = "apps.integrations.tasks.sync_all_github_data"
TEAM_TASK = "apps.integrations.tasks.sync_github_data"
REPOSITORIES_TASK = "apps.integrations.tasks.resume_syncs"
CONCLUDE_TASK = "apps.integrations.tasks.conclude_team_sync"
SUCCESS_TASK = "apps.integrations.tasks.on_success"
FAILURE_TASK = "apps.integrations.tasks.on_failure"
EXPIRES_S = 60
"""After a minute the next message is there."""
AGAIN = timedelta(seconds=EXPIRES_S)
MOST_AT_ONCE = 500
Message = Callable[..., object]


def ring_for_due() -> int:
    """Tell the workers of the runs that are to be claimed, and of parts that are to be spread; how many messages."""
    if not has_credentials():
        return 0
    messages: list[Message] = [_of_run(sync) for sync in SyncLog.objects.due().order_by("not_before")[:MOST_AT_ONCE]]
    return ring.send([*messages, *_of_parts(TeamSync.objects.all())])


def ring_for_run(sync: SyncLog) -> int:
    """Tell the workers of a run that was started just now."""
    return ring.send([_of_run(sync)])


def ring_for_parts(sync_id: int) -> int:
    """Tell the workers of the parts of a run that are to be spread."""
    return ring.send(_of_parts(TeamSync.objects.filter(sync=sync_id)))


def ring_for_repositories() -> int:
    """Tell the workers that there are repositories to be compared."""
    return ring.send([_message(REPOSITORIES_TASK)])


def ring_for_verdicts(part_ids: list[int]) -> int:
    """Have the workers say how these parts ended: what they say is told to the team by one of two callbacks."""
    return ring.send(
        _message(
            CONCLUDE_TASK,
            part_id,
            link=current_app.signature(SUCCESS_TASK, args=(part_id,), immutable=True),
            link_error=current_app.signature(FAILURE_TASK, args=(part_id,), immutable=True),
        )
        for part_id in part_ids
    )


def _of_run(sync: SyncLog) -> Message:
    scope = parse_scope(sync.scope)
    if scope.kind == TEAM:
        return _message(TEAM_TASK, scope.only_id, sync.sync_id)
    return _message(ALL_TASK, sync.sync_id)


def _of_parts(parts: QuerySet[TeamSync]) -> Iterator[Message]:
    """Those that wait and were not told of a moment ago; the oldest first."""
    due = parts.filter(Q(rung_at=None) | Q(rung_at__lt=Now() - AGAIN), status=TeamSync.Status.WAITING)
    told = list(due.order_by("pk").values_list("pk", "team_id", "sync__sync_id")[:MOST_AT_ONCE])
    TeamSync.objects.filter(pk__in=[pk for pk, _, _ in told]).update(rung_at=Now())
    for _, team_id, sync_id in told:
        yield _message(TEAM_TASK, team_id, sync_id)


def _message(task: str, *arguments: object, **options: Any) -> Message:
    return partial(
        current_app.send_task,
        task,
        args=list(arguments),
        expires=EXPIRES_S,
        retry=False,
        ignore_result=True,
        **options,
    )
