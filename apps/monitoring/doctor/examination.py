"""Running families of checks: each within its time, all within theirs, and none brings the others down."""

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
from apps.monitoring.doctor.checks import Check, CheckStoppedError, Family, Verdict, unchecked, wrong

LONGEST_S = 18.0
"""All of it; the interpreter's start comes on top."""
CORRECT_IT = "Correct it, and restart every process."
ABSENT = {Verdict.WRONG, Verdict.UNCHECKED}


@dataclass(slots=True)
class _Findings:
    """What a family has found so far, and why it found no more."""

    checks: list[Check] = field(default_factory=list)
    reason: str = ""


def examine(
    families: Sequence[Family], *, tell: Callable[[Family], object] = lambda family: None, longest_s: float = LONGEST_S
) -> Iterator[Check]:
    """Every check of every family, in order; `tell` hears of each family before its turn."""
    deadline_s = time.monotonic() + longest_s
    known: dict[str, Check] = {}
    for family in families:
        tell(family)
        for check in _examine(family, known=known, left_s=deadline_s - time.monotonic()):
            known[check.name] = check
            yield check


def _examine(family: Family, *, known: dict[str, Check], left_s: float) -> list[Check]:
    absent = [name for name in family.needs if name not in known or known[name].verdict in ABSENT]
    if absent:
        return [unchecked(name, f"It needs {', '.join(absent)}: see above.") for name in family.names]
    if mistakes := [settings.MISTAKEN_SETTINGS[one] for one in family.rests_on if one in settings.MISTAKEN_SETTINGS]:
        first, *others = family.names
        return [
            wrong(first, mistakes[0], CORRECT_IT),
            *(unchecked(name, f"It needs {first}: see above.") for name in others),
        ]
    if left_s <= 0:
        return [unchecked(name, "There was no time left for it.") for name in family.names]
    found = _within(min(family.longest_s, left_s), family)
    made = {check.name for check in found.checks}
    return [*found.checks, *(unchecked(name, found.reason) for name in family.names if name not in made)]


def _within(seconds: float, family: Family) -> _Findings:
    """What the family finds in this time, on a thread of its own: no wait for a name or a socket lasts longer."""
    found = _Findings()
    thread = threading.Thread(target=_run, args=(family, found), name=f"doctor {family.title}", daemon=True)
    thread.start()
    thread.join(seconds)
    so_far, reason = list(found.checks), found.reason
    if not reason:
        reason = f"No answer within {seconds:.0f} s."
        if not so_far and family.asks_somebody:
            so_far = [wrong(family.names[0], reason, "See whether its address is right, and whether it runs.")]
    return _Findings(checks=so_far, reason=reason)


def _run(family: Family, found: _Findings) -> None:
    try:
        for check in family.examine():
            found.checks.append(check)
    except CheckStoppedError as why:
        found.reason = str(why)
    except DatabaseError as error:
        found.reason = f"The database did not answer: {error_message(error)}."
    except (RedisError, OSError) as error:
        found.reason = f"No answer: {type(error).__name__}."
    except Exception as error:  # a mistake in one check must not hide the others
        found.reason = f"This is a mistake of doctor's own: {type(error).__name__} in {_place(error)}."
    else:
        found.reason = "There was nothing to look at."
    finally:
        connection.close()  # of this thread


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}, line {last.lineno}"


OF_GITHUB = ("GITHUB_API_URL", "GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY_FILE")
TABLES = ("database", "migrations")


def all_families(access: GitHubAccess) -> tuple[Family, ...]:
    """The whole examination."""
    return (*of_this_instance(), *of_github(access))


def of_this_instance() -> tuple[Family, ...]:
    """What runs here, and how its work stands."""
    return (
        Family(title="settings", names=configuration.NAMES, examine=configuration.examine_configuration, longest_s=5.0),
        Family(
            title="database",
            names=services.DATABASE_NAMES,
            examine=services.examine_database,
            longest_s=5.0,
            asks_somebody=True,
            rests_on=("DATABASE_URL",),
        ),
        Family(
            title="redis",
            names=services.REDIS_NAMES,
            examine=services.examine_redis,
            longest_s=3.0,
            asks_somebody=True,
            rests_on=("REDIS_URL",),
        ),
        Family(
            title="workers and beat",
            names=services.PRESENCE_NAMES,
            examine=services.examine_presence,
            longest_s=2.0,
            needs=("redis",),
        ),
        Family(title="work", names=work.NAMES, examine=work.examine_standing, longest_s=4.0, needs=TABLES),
    )


def of_github(access: GitHubAccess) -> tuple[Family, ...]:
    """The App there, and the accounts that it is on."""
    return (
        Family(
            title="github",
            names=github.APP_NAMES,
            examine=partial(github.examine_app, access),
            longest_s=8.0,
            asks_somebody=True,
            rests_on=OF_GITHUB,
        ),
        Family(
            title="installations",
            names=github.INSTALLATION_NAMES,
            examine=partial(github.examine_installations, access),
            longest_s=8.0,
            needs=(*TABLES, "github credentials"),
        ),
    )
