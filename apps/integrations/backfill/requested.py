"""Starts and forecasts that people ask for in a request: refused in words, and done before the request is given up."""

from typing import ClassVar

from django.db.models import QuerySet

from apps.activity.models import Repository
from apps.encryption import Undecryptable
from apps.integrations.backfill.forecast import Forecast, forecast
from apps.integrations.backfill.starting import NothingToStart, Scope, Started, start
from apps.integrations.github.access import github
from apps.integrations.github.credentials import NoCredentials, app_credentials

MOST_COUNTED = 100
"""Counting more repositories than that takes longer than a request may."""
MOST_NAMED = 8


class NoGitHub(NothingToStart):
    """GitHub cannot be asked for anything."""

    code: ClassVar = "no_credentials"


class TooMuchToCount(NothingToStart):
    """It would take too long."""

    code: ClassVar = "too_much_to_count"


def start_asked(repositories: QuerySet[Repository], *, scope: Scope) -> Started:
    """Start what was asked for; NothingToStart where no installation reaches any of it, or without credentials."""
    _require_credentials()
    started = start(repositories, scope=scope)
    if not started.backfills:
        names = ", ".join(str(repository) for repository in started.unreachable[:MOST_NAMED]) or "any of it"
        raise NothingToStart(
            f"No installation of the App reaches {names}: give it access on GitHub, then start this again."
        )
    return started


def forecast_asked(repositories: QuerySet[Repository], *, scope: Scope) -> Forecast:
    """Say what a start would take; NothingToStart where that is too much to count, or without credentials."""
    _require_credentials()
    if repositories.count() > MOST_COUNTED:
        raise TooMuchToCount(
            f"Counting more than {MOST_COUNTED} repositories takes longer than a request may: ask"
            " `manage.py backfill --dry-run`, or for fewer at once."
        )
    return forecast(repositories, scope=scope, access=github())


def _require_credentials() -> None:
    """Or something would be started that could never be read."""
    try:
        app_credentials()
    except (NoCredentials, Undecryptable) as error:
        raise NoGitHub(f"GitHub cannot be asked: {error}") from error
