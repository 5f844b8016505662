"""Changes of jobs that people ask for: made before a request is given up, or refused in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from apps.common.db import DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, QUERY_CANCELED, sqlstate_of
from apps.jobs.models import Job, JobQuerySet
from apps.jobs.registry import kinds
from apps.jobs.wakeups import enqueue_due

Done = TypeVar("Done")
_ONE_AT_A_TIME = 0x62_61_63_6B_66_69_6C_6C
"""The advisory lock under which jobs become unfinished: a start and a retry of one job never meet."""


class JobsBusyError(Exception):
    """Others change the same jobs for longer than a request waits."""

    code: ClassVar = "busy"


def retry(jobs: JobQuerySet[Any]) -> int:
    """Let those that failed go on where they stopped; how many. What was started anew since is left as it is."""
    with transaction.atomic():
        lock_starts()
        enqueue_after_commit()
        return jobs.jobs.failures().update(
            state=Job.State.WAITING,
            reason="",
            error="",
            attempts=0,
            restarts=0,
            not_before=Now(),
            finished_at=None,
        )


def cancel(jobs: JobQuerySet[Any]) -> int:
    """End those for good that do not recur; how many. What they did stays."""
    return jobs.jobs.exclude(kind__in=[kind.name for kind in kinds() if kind.recurs]).cancel()


def lock_starts() -> None:
    """Wait until nobody else starts or retries jobs, and have others wait until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])


def enqueue_after_commit() -> None:
    """Wake the workers; without that the dispatcher finds what is due within seconds."""
    transaction.on_commit(enqueue_due, robust=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of the state of jobs: its participle, what it does, and why nothing was changed."""

    make: Callable[[JobQuerySet[Any]], int]
    done: str
    effect: str
    refusal: str

    def apply(self, jobs: JobQuerySet[Any]) -> int:
        """Return how many of the jobs were changed; JobsBusyError while others change them."""
        return others_first(lambda: self.make(jobs))


CHANGES: Mapping[str, Change] = {
    "pause": Change(
        make=JobQuerySet.pause,
        done="paused",
        effect="Stop it where it is, until somebody resumes it. What is being read now is read again then.",
        refusal="Already paused or finished.",
    ),
    "resume": Change(
        make=JobQuerySet.resume,
        done="resumed",
        effect="Let it go on where it was paused.",
        refusal="Not paused.",
    ),
    "cancel": Change(
        make=cancel,
        done="cancelled",
        effect="End it for good; what was read stays.",
        refusal="Already finished, or recurring (it can only be paused).",
    ),
    "retry": Change(
        make=retry,
        done="retried",
        effect="Let it go on where it failed.",
        refusal="It has not failed, or was started again since.",
    ),
}


def others_first(act: Callable[[], Done]) -> Done:
    """Return what the act returns; JobsBusyError instead of the database's error where others hold its rows too long.

    Of two that wait for each other the database breaks one off, and the other ends: that one is begun once more.
    """
    try:
        try:
            return _whole(act)
        except OperationalError as error:
            if sqlstate_of(error) != DEADLOCK_DETECTED:
                raise
        return _whole(act)
    except OperationalError as error:
        if sqlstate_of(error) not in {LOCK_NOT_AVAILABLE, QUERY_CANCELED, DEADLOCK_DETECTED}:
            raise
        raise JobsBusyError("Others start jobs at the moment. Ask again in a minute: two starts are one.") from error


def _whole(act: Callable[[], Done]) -> Done:
    """Return what the act returns; where it fails, a transaction around it goes on."""
    with transaction.atomic():
        return act()
