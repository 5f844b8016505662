"""What people ask for: refused in words, and, in a request, done before the request is given up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, TypeVar

from django.db import OperationalError, transaction
from django.db.models import QuerySet

from apps.activity.models import Repository
from apps.database_errors import DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, QUERY_CANCELED, sqlstate_of
from apps.encryption import Undecryptable
from apps.github.auth import github
from apps.github.credentials import NoCredentials, app_credentials
from apps.integrations.backfill.counting import Effort
from apps.integrations.backfill.forecast import Forecast, forecast
from apps.integrations.backfill.starting import MOST_NAMED, NothingToStart, Scope, Started, retry, start
from apps.integrations.models import Backfill
from apps.integrations.models.backfills import BackfillQuerySet

MOST_COUNTED = 100
"""Counting more repositories than that takes longer than a request may."""
LONGEST_S = 15.0
MOST_BY_REST = 5
"""A forecast within a request asks for no more lists than that of a kind, and for nothing more after so long."""
PATIENCE_S = 3.0
"""So long it waits for walks that ask at the moment: they come first as often as it does."""
MOST_SHOWN = 500
AT_A_TIME = 500
Done = TypeVar("Done")


class Refused(NothingToStart):
    """Nothing is started for now; `code` says why, for programs."""

    code: ClassVar[str]


class NoGitHub(Refused):
    """GitHub cannot be asked for anything."""

    code = "no_credentials"


class TooMuchToCount(Refused):
    """It would take too long."""

    code = "too_much_to_count"


class Busy(Refused):
    """Somebody else's start takes longer than a request waits."""

    code = "busy"


@dataclass(slots=True)
class Begun:
    """What a start in a request has set in motion; `shown` are the first of its walks."""

    new: int = 0
    count: int = 0
    paused: int = 0
    shown: list[Backfill] = field(default_factory=list)
    unreachable: list[Repository] = field(default_factory=list)

    def add(self, started: Started) -> None:
        self.new += started.new
        self.count += len(started.backfills)
        self.paused += sum(row.state == Backfill.State.PAUSED for row in started.backfills)
        self.shown += started.backfills[: MOST_SHOWN - len(self.shown)]
        self.unreachable += started.unreachable


def start_asked(repositories: QuerySet[Repository], *, scope: Scope) -> Begun:
    """Start what was asked for; NothingToStart where no installation reaches any of it, or without credentials.

    Many repositories are started some at a time: in a request, no statement may take longer than seconds.
    """
    _require_credentials()
    begun = Begun()
    ids = list(repositories.values_list("pk", flat=True))
    for first in range(0, len(ids), AT_A_TIME):
        some = Repository.objects.filter(pk__in=ids[first : first + AT_A_TIME]).order_by("full_name", "pk")
        begun.add(others_first(partial(start, some, scope=scope)))
    if not begun.count:
        names = ", ".join(str(repository) for repository in begun.unreachable[:MOST_NAMED]) or "any of it"
        raise NothingToStart(
            f"No installation of the App reaches {names}: give it access on GitHub, then start this again."
        )
    return begun


def pause_asked(backfills: BackfillQuerySet) -> int:
    """Stop those where they are until somebody resumes them; how many. Busy while others start backfills."""
    return others_first(backfills.pause)


def resume_asked(backfills: BackfillQuerySet) -> int:
    """Let those go on where they were paused; how many. Busy while others start backfills."""
    return others_first(backfills.resume)


def cancel_asked(backfills: BackfillQuerySet) -> int:
    """End those for good; how many. Busy while others start backfills."""
    return others_first(backfills.cancel)


def retry_asked(backfills: BackfillQuerySet) -> int:
    """Let those that failed go on where they stopped; how many. Busy while others start backfills."""
    return others_first(lambda: retry(backfills))


def others_first(act: Callable[[], Done]) -> Done:
    """What the act returns; Busy instead of the database's error where others hold its rows for too long.

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
        raise Busy("Others start backfills at the moment. Ask again in a minute: two starts are one.") from error


def _whole(act: Callable[[], Done]) -> Done:
    """What the act returns; where it fails, a transaction around it goes on."""
    with transaction.atomic():
        return act()


def forecast_asked(repositories: QuerySet[Repository], *, scope: Scope) -> Forecast:
    """Say what a start would take; NothingToStart where that is too much to count, or without credentials.

    What could not be counted in time is `uncounted`.
    """
    _require_credentials()
    if repositories.count() > MOST_COUNTED:
        raise TooMuchToCount(
            f"Counting more than {MOST_COUNTED} repositories takes longer than a request may: ask"
            " `manage.py backfill --dry-run`, or for fewer at once."
        )
    effort = Effort(patience_s=PATIENCE_S, most_by_rest=MOST_BY_REST, deadline_s=time.monotonic() + LONGEST_S)
    return forecast(repositories, scope=scope, access=github(), effort=effort)


def _require_credentials() -> None:
    """Or something would be started that could never be read."""
    try:
        app_credentials()
    except (NoCredentials, Undecryptable) as error:
        raise NoGitHub(f"GitHub cannot be asked: {error}") from error
