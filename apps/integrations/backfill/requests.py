"""Starts and forecasts that users request: refused with a message, or finished before the request times out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from apps.activity.models import Installation, Repository, RepositoryAccess
from apps.common.encryption import UndecryptableError
from apps.github.auth import GitHubAccess, github
from apps.github.credentials import NoCredentialsError, app_credentials
from apps.integrations.backfill.github_item_counts import Effort
from apps.integrations.backfill.start import (
    MOST_NAMED,
    CannotBeReadError,
    NothingToStartError,
    Scope,
    Started,
    start,
)
from apps.integrations.backfill.start_forecast import Forecast, forecast
from apps.integrations.discovery import find_installations
from apps.integrations.listed_installations import list_installation
from apps.integrations.models import Backfill
from apps.integrations.readable_installations import readable_installations
from apps.integrations.reader import RequestFailedError
from apps.jobs.changes import others_first
from apps.webhooks.parsing import UnusablePayloadError

MOST_COUNTED = 100
"""Counting more repositories than that takes longer than a request may."""
LONGEST_S = 15.0
MOST_BY_REST = 5
"""A forecast within a request asks for no more lists than that of a kind, and for nothing more after so long."""
PATIENCE_S = 3.0
"""How long it waits for backfills that send requests at the moment."""
MOST_SHOWN = 500
AT_A_TIME = 500


class StartRefusedError(NothingToStartError):
    """Nothing is started for now; `code` says why, for programs."""

    code: ClassVar[str]


class GitHubUnreachableError(StartRefusedError):
    """GitHub cannot be asked for anything."""

    code = "no_credentials"


class TooMuchToCountError(StartRefusedError):
    """It would take too long."""

    code = "too_much_to_count"


@dataclass(slots=True)
class StartResult:
    """What was started in a request; `shown` are the first of its backfills."""

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


def start_asked(repositories: QuerySet[Repository], *, scope: Scope) -> StartResult:
    """Start what was asked for; NothingToStartError where no installation reaches any of it, or without credentials.

    Many repositories are started some at a time: in a request, no statement may take longer than seconds.
    """
    _require_credentials()
    result = StartResult()
    ids = list(repositories.values_list("pk", flat=True))
    for first in range(0, len(ids), AT_A_TIME):
        some = Repository.objects.filter(pk__in=ids[first : first + AT_A_TIME]).order_by("full_name", "pk")
        result.add(others_first(partial(start, some, scope=scope)))
    if not result.count:
        names = ", ".join(str(repository) for repository in result.unreachable[:MOST_NAMED]) or "any of it"
        raise NothingToStartError(
            f"No installation of the App reaches {names}: give it access on GitHub, then start this again."
        )
    return result


def forecast_asked(repositories: QuerySet[Repository], *, scope: Scope) -> Forecast:
    """Say what a start would take; NothingToStartError where that is too much to count, or without credentials.

    What could not be counted in time is `uncounted`.
    """
    _require_credentials()
    if repositories.count() > MOST_COUNTED:
        raise TooMuchToCountError(
            f"Counting more than {MOST_COUNTED} repositories takes longer than a request may: ask"
            " `manage.py backfill --dry-run`, or for fewer at once."
        )
    effort = Effort(patience_s=PATIENCE_S, most_by_rest=MOST_BY_REST, deadline_s=time.monotonic() + LONGEST_S)
    return forecast(repositories, scope=scope, access=github(), effort=effort)


def _require_credentials() -> None:
    """Refuse to start what could never be read."""
    try:
        app_credentials()
    except (NoCredentialsError, UndecryptableError) as error:
        raise GitHubUnreachableError(f"GitHub cannot be asked: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryResolver:
    """Asks GitHub for repositories that are named and not known yet; `say` gets the messages.

    NothingToStartError where GitHub refuses to say, NoCredentialsError where it cannot be asked.
    """

    access: GitHubAccess
    say: Callable[[str], None]

    def about(self, *, full_names: Sequence[str], installation_id: int | None, everything: bool) -> None:
        """Find the installations that are meant, and list those whose repositories are not known yet."""
        owners = _owners(_unknown(full_names))
        is_meant = Q(owner__in=owners) | Q(pk=installation_id, listed_at=None)
        if everything:
            is_meant |= Q(listed_at=None)
        is_known = not owners and (installation_id is None or Installation.objects.filter(pk=installation_id).exists())
        if not is_known or (everything and not Installation.objects.exists()):
            self._find()
        for installation in _readable().filter(is_meant).select_related("account").order_by("pk"):
            self._list(installation)

    def _find(self) -> None:
        try:
            found = find_installations(access=self.access)
        except (RequestFailedError, UnusablePayloadError) as error:
            raise CannotBeReadError(f"GitHub does not say where the App is installed: {error}.") from error
        self.say(f"GitHub names {found} {'installation' if found == 1 else 'installations'} of the App.")

    def _list(self, installation: Installation) -> None:
        """List it to the end."""
        self.say(f"Listing what installation {installation.pk} on {installation.account} reaches …")
        row = list_installation(installation.pk, access=self.access)
        while row is not None and row.goes_on:
            row = list_installation(installation.pk, access=self.access)
        if row is None:
            self.say("It is being listed already, or waits for a limit: try again in a minute.")
        elif row.state != row.State.DONE:
            self.say(f"It could not be listed: {row.error or 'a limit is spent'}. It is tried again automatically.")
        else:
            reached = RepositoryAccess.objects.filter(installation=installation, has_access=True).count()
            days = settings.BACKFILL_DAYS
            self.say(f"It reaches {reached:,}; of those that are new, the last {days} days are read automatically.")


def _readable() -> QuerySet[Installation]:
    return readable_installations().alias(owner=Lower("account__login"))


def _unknown(full_names: Sequence[str]) -> list[str]:
    """Return the names of which no repository is known that was not deleted."""
    known = Repository.objects.filter(deleted_at__isnull=True).annotate(name=Lower("full_name"))
    found = set(known.filter(name__in=[name.lower() for name in full_names]).values_list("name", flat=True))
    return [name for name in full_names if name.lower() not in found]


def _owners(full_names: Sequence[str]) -> set[str]:
    return {name.partition("/")[0].lower() for name in full_names}
