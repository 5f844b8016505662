"""What a check comes to, and what a family of checks is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


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


class Stopped(Exception):  # noqa: N818  says what happened
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
