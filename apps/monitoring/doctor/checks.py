"""Checks, families of checks, and their output as a table or JSON."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text


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
