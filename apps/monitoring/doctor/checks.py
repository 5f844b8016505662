"""What a check comes to, and what a family of checks is."""

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


class Verdict(StrEnum):
    """How it stands, from well to unknown."""

    OK = "ok"
    WARNING = "warning"  # it works, and somebody should know
    WRONG = "wrong"  # it does not work, or will lose something
    UNCHECKED = "not checked"  # it could not be looked at, or there is nothing to look at


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: what was looked at, how it stands, what was found, and what to do."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


class CheckStoppedError(Exception):
    """The rest of a family cannot be looked at; the words say why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Checks that are made one after the other, within so many seconds; not at all unless what it `needs` is there.

    Where `asks_somebody`, silence means that whoever its first check is about is away. Where a setting that
    it `rests_on` is mistaken, only that is said.
    """

    title: str
    names: tuple[str, ...]
    examine: Callable[[], Iterator[Check]]
    longest_s: float
    needs: tuple[str, ...] = ()
    asks_somebody: bool = False
    rests_on: tuple[str, ...] = ()


def well(name: str, found: str) -> Check:
    return Check(name, Verdict.OK, found)


def warning(name: str, found: str, advice: str) -> Check:
    return Check(name, Verdict.WARNING, found, advice)


def wrong(name: str, found: str, advice: str) -> Check:
    return Check(name, Verdict.WRONG, found, advice)


def unchecked(name: str, why: str) -> Check:
    return Check(name, Verdict.UNCHECKED, why)


STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "bold red", Verdict.UNCHECKED: "dim"}
HIDDEN = "[hidden]"
SHORTEST_SECRET = 6
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Words of GitHub's and of drivers are shown, and steer no terminal."""


def table_of(checks: Iterable[Check]) -> RenderableType:
    """A row for each, or for several of which the same is to be said."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True, show_edge=False)
    table.add_column("check", width=20)
    table.add_column("verdict", width=11, no_wrap=True)
    table.add_column("found, and what to do", ratio=1, overflow="fold")
    for (verdict, found, advice), alike in groupby(checks, key=attrgetter("verdict", "found", "advice")):
        words = Text(safe(found))
        if advice and verdict is not Verdict.OK:
            words.append(f"\n→ {safe(advice)}", style="bold")
        names = ", ".join(check.name for check in alike)
        table.add_row(names, Text(verdict, style=STYLES[verdict]), words)
    return table


def summary_of(checks: Sequence[Check]) -> str:
    """One line: how many there are of each verdict."""
    counts = Counter(check.verdict for check in checks)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    if counts[Verdict.WRONG]:
        return f"Something is wrong: {told}."
    return f"Nothing is wrong: {told}."


def document_of(checks: Sequence[Check]) -> dict[str, Any]:
    """For machines: the verdicts are `ok`, `warning`, `wrong` and `not checked`."""
    return {
        "is_well": not any(check.verdict is Verdict.WRONG for check in checks),
        "checks": [
            {
                "name": check.name,
                "verdict": check.verdict.value,
                "found": safe(check.found),
                "advice": safe(check.advice),
            }
            for check in checks
        ],
    }


def safe(words: str) -> str:
    """The words without any secret of ours, and on one line."""
    for secret in secrets():
        words = words.replace(secret, HIDDEN)
    return CONTROL_CHARACTERS.sub(" ", words)


def passwords_in(address: str) -> list[str]:
    """What opens it, as it is written there and as it is meant."""
    parts = urlsplit(address)
    written = [parts.password or "", *(value for name, value in parse_qsl(parts.query) if name == "password")]
    return [one for password in written for one in (password, unquote(password))]


def secrets() -> list[str]:
    """Everything in the settings that opens something, the longest first."""
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
