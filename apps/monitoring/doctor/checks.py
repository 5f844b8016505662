"""Checks, families of checks that run within a time limit, and their output as a table or JSON.

A family of checks is one function that yields them; the command `doctor` lists the families. An error in one does not
affect the others. Functions that compute a result from what was read are pure.
"""

import re
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings
from django.db import DatabaseError, connection
from redis import RedisError
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from apps.common.db import error_message


class Result(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"  # it works, but needs attention
    FAILED = "failed"  # it does not work, or may lose data
    UNCHECKED = "not checked"  # it could not be checked, or there is nothing to check


@dataclass(frozen=True, slots=True)
class Check:
    """A line of the table: the name, the result, what was found, and what to do."""

    name: str
    result: Result
    found: str
    advice: str = ""


class CheckStoppedError(Exception):
    """The rest of a family cannot be checked; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Checks that run one after the other within `longest_s`, and only if the checks that it `needs` succeeded.

    If it `is_remote`, a timeout means that its first check failed. If one of its `settings` is invalid, only that is
    reported.
    """

    title: str
    names: tuple[str, ...]
    run: Callable[[], Iterator[Check]]
    longest_s: float
    needs: tuple[str, ...] = ()
    is_remote: bool = False
    settings: tuple[str, ...] = ()


def ok(name: str, found: str) -> Check:
    return Check(name, Result.OK, found)


def warning(name: str, found: str, advice: str) -> Check:
    return Check(name, Result.WARNING, found, advice)


def failure(name: str, found: str, advice: str) -> Check:
    return Check(name, Result.FAILED, found, advice)


def unchecked(name: str, why: str) -> Check:
    return Check(name, Result.UNCHECKED, why)


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


STYLES = {Result.OK: "green", Result.WARNING: "yellow", Result.FAILED: "bold red", Result.UNCHECKED: "dim"}
HIDDEN = "[hidden]"
SHORTEST_SECRET = 6
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Texts of GitHub and of drivers are shown; they must not control the terminal."""


def table_of(checks: Iterable[Check]) -> RenderableType:
    """Return a table with a row per check; consecutive checks with the same text share a row."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True, show_edge=False)
    table.add_column("check", width=20)
    table.add_column("result", width=11, no_wrap=True)
    table.add_column("details and what to do", ratio=1, overflow="fold")
    for (result, found, advice), alike in groupby(checks, key=attrgetter("result", "found", "advice")):
        words = Text(redact(found))
        if advice and result is not Result.OK:
            words.append(f"\n→ {redact(advice)}", style="bold")
        names = ", ".join(check.name for check in alike)
        table.add_row(names, Text(result, style=STYLES[result]), words)
    return table


def summary_of(checks: Sequence[Check]) -> str:
    """Return one line with the number of checks by result."""
    counts = Counter(check.result for check in checks)
    text = ", ".join(f"{counts[result]} {result}" for result in Result if counts[result])
    return f"{'Problems found' if counts[Result.FAILED] else 'No problems found'}: {text}."


def document_of(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the JSON output; results are `ok`, `warning`, `failed` and `not checked`."""
    return {
        "is_ok": not any(check.result is Result.FAILED for check in checks),
        "checks": [
            {
                "name": check.name,
                "result": check.result.value,
                "found": redact(check.found),
                "advice": redact(check.advice),
            }
            for check in checks
        ],
    }


def redact(text: str) -> str:
    """Return the text on one line, without secrets and control characters."""
    for secret in secrets():
        text = text.replace(secret, HIDDEN)
    return CONTROL_CHARACTERS.sub(" ", text)


def passwords_in(address: str) -> list[str]:
    """Return the passwords of a URL, as written and percent-decoded."""
    parts = urlsplit(address)
    written = [parts.password or "", *(value for name, value in parse_qsl(parts.query) if name == "password")]
    return [one for password in written for one in (password, unquote(password))]


def secrets() -> list[str]:
    """Return all secrets of the settings, the longest first."""
    database = settings.DATABASES["default"]
    known = [
        settings.SECRET_KEY,
        settings.GITHUB_APP_PRIVATE_KEY,
        settings.GITHUB_CLIENT_SECRET,
        settings.METRICS_TOKEN,
        settings.EMAIL_HOST_PASSWORD,
        str(database.get("PASSWORD") or ""),
        *passwords_in(settings.REDIS_URL),
        *settings.FERNET_KEYS,
        *settings.GITHUB_WEBHOOK_SECRETS,
    ]
    return sorted((one for one in known if one and len(one) >= SHORTEST_SECRET), key=len, reverse=True)
