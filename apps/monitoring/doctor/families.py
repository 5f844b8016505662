"""The families of checks; each runs within its time limit, and an error in one does not affect the others."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from redis import RedisError

from apps.common.db import error_message
from apps.github.auth import GitHubAccess
from apps.monitoring.doctor import configuration, github, services, work
from apps.monitoring.doctor.checks import Check, CheckStoppedError, Family, Result, failure, unchecked

LONGEST_S = 18.0
"""The limit of all checks together, without the start of the interpreter."""
CORRECT_IT = "Fix it and restart every process."
ABSENT = {Result.FAILED, Result.UNCHECKED}


@dataclass(slots=True)
class _Findings:
    """The checks of a family so far, and why it stopped."""

    checks: list[Check] = field(default_factory=list)
    reason: str = ""


def run_families(
    families: Sequence[Family],
    *,
    on_start: Callable[[Family], object] = lambda family: None,
    longest_s: float = LONGEST_S,
) -> Iterator[Check]:
    """Yield every check of every family in order; `on_start` is called before each family."""
    deadline_s = time.monotonic() + longest_s
    known: dict[str, Check] = {}
    for family in families:
        on_start(family)
        for check in _run_family(family, known=known, left_s=deadline_s - time.monotonic()):
            known[check.name] = check
            yield check


def _run_family(family: Family, *, known: dict[str, Check], left_s: float) -> list[Check]:
    absent = [name for name in family.needs if name not in known or known[name].result in ABSENT]
    if absent:
        return [unchecked(name, f"Not checked because of {', '.join(absent)}: see above.") for name in family.names]
    if mistakes := [settings.MISTAKEN_SETTINGS[one] for one in family.settings if one in settings.MISTAKEN_SETTINGS]:
        first, *others = family.names
        return [
            failure(first, mistakes[0], CORRECT_IT),
            *(unchecked(name, f"Not checked because of {first}: see above.") for name in others),
        ]
    if left_s <= 0:
        return [unchecked(name, "No time was left for this check.") for name in family.names]
    found = _within(min(family.longest_s, left_s), family)
    made = {check.name for check in found.checks}
    return [*found.checks, *(unchecked(name, found.reason) for name in family.names if name not in made)]


def _within(seconds: float, family: Family) -> _Findings:
    """Run the family on its own thread for at most this time, because DNS and sockets may block for longer."""
    found = _Findings()
    thread = threading.Thread(target=_run, args=(family, found), name=f"doctor {family.title}", daemon=True)
    thread.start()
    thread.join(seconds)
    so_far, reason = list(found.checks), found.reason
    if not reason:
        reason = f"No answer within {seconds:.0f} s."
        if not so_far and family.is_remote:
            so_far = [failure(family.names[0], reason, "Check its address and whether it is running.")]
    return _Findings(checks=so_far, reason=reason)


def _run(family: Family, found: _Findings) -> None:
    try:
        for check in family.run():
            found.checks.append(check)
    except CheckStoppedError as why:
        found.reason = str(why)
    except DatabaseError as error:
        found.reason = f"The database did not answer: {error_message(error)}."
    except (RedisError, OSError) as error:
        found.reason = f"No answer: {type(error).__name__}."
    except Exception as error:  # a bug in one check must not hide the others
        found.reason = f"Bug in this check: {type(error).__name__} in {_place(error)}."
    else:
        found.reason = "There was nothing to check."
    finally:
        connection.close()  # of this thread


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}, line {last.lineno}"


OF_GITHUB = ("GITHUB_API_URL", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY_FILE")
TABLES = ("database", "migrations")


def all_families(access: GitHubAccess) -> tuple[Family, ...]:
    """Return all families."""
    return (*of_this_instance(), *of_github(access))


def of_this_instance() -> tuple[Family, ...]:
    """Return the families about this instance and its work."""
    return (
        Family(title="settings", names=configuration.NAMES, run=configuration.check_configuration, longest_s=5.0),
        Family(
            title="database",
            names=services.DATABASE_NAMES,
            run=services.check_database,
            longest_s=5.0,
            is_remote=True,
            settings=("DATABASE_URL",),
        ),
        Family(
            title="redis",
            names=services.REDIS_NAMES,
            run=services.check_redis,
            longest_s=3.0,
            is_remote=True,
            settings=("REDIS_URL",),
        ),
        Family(
            title="workers and beat",
            names=services.PRESENCE_NAMES,
            run=services.check_presence,
            longest_s=2.0,
            needs=("redis",),
        ),
        Family(title="work", names=work.NAMES, run=work.check_work, longest_s=4.0, needs=TABLES),
    )


def of_github(access: GitHubAccess) -> tuple[Family, ...]:
    """Return the families about the App at GitHub and its installations."""
    return (
        Family(
            title="github",
            names=github.APP_NAMES,
            run=partial(github.check_app, access),
            longest_s=8.0,
            is_remote=True,
            settings=OF_GITHUB,
        ),
        Family(
            title="installations",
            names=github.INSTALLATION_NAMES,
            run=partial(github.check_installations, access),
            longest_s=8.0,
            needs=(*TABLES, "github credentials"),
        ),
    )
