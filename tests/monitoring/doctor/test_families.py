"""Families of checks have a time limit, are independent, and run after the checks that they need."""

import threading
from collections.abc import Iterator

from django.db import OperationalError
from redis import RedisError

from apps.monitoring.doctor.checks import Check, CheckStoppedError, failure, ok, run_families
from tests.monitoring.doctor.conftest import family

for_ever = threading.Event()


def fine() -> Iterator[Check]:
    yield ok("one", "It is there.")
    yield ok("two", "So is this.")


def gone() -> Iterator[Check]:
    yield failure("one", "It is away.", "Start it.")
    raise CheckStoppedError("One is away.")


def hangs() -> Iterator[Check]:
    for_ever.wait()
    yield ok("one", "Nobody ever sees this.")


def hangs_later() -> Iterator[Check]:
    yield ok("one", "It is there.")
    for_ever.wait()


def results(*families: object, longest_s: float = 10.0) -> dict[str, tuple[str, str]]:
    return {check.name: (check.result, check.found) for check in run_families(families, longest_s=longest_s)}  # type: ignore[arg-type]


def test_a_family_whose_needs_failed_is_not_checked() -> None:
    found = results(family(gone, "one", "two"), family(fine, "three", needs=("one",)))
    assert found == {
        "one": ("failed", "It is away."),
        "two": ("not checked", "One is away."),
        "three": ("not checked", "Not checked because of one: see above."),
    }


def test_a_family_that_hangs_costs_only_its_time_limit() -> None:
    found = results(
        family(hangs, "silent", longest_s=0.2, is_remote=True),
        family(hangs, "slow", longest_s=0.2),
        family(hangs_later, "one", "late", longest_s=0.2),
    )
    assert found["silent"] == ("failed", "No answer within 0 s.")
    assert found["slow"][0] == "not checked", "it is not remote: this machine is busy"
    assert found["one"] == ("ok", "It is there.")
    assert found["late"][0] == "not checked"


def test_all_families_together_have_a_time_limit() -> None:
    many = [family(hangs, f"silent {number}") for number in range(20)]
    found = results(*many, longest_s=0.3)
    assert len(found) == 20
    assert found["silent 19"] == ("not checked", "No time was left for this check.")


def test_errors_and_bugs_are_reported_as_sentences() -> None:
    def fails(error: Exception) -> Iterator[Check]:
        yield from ()
        raise error

    found = results(
        family(lambda: fails(OperationalError("the server closed the connection")), "database"),
        family(lambda: fails(RedisError("no")), "redis"),
        family(lambda: fails(KeyError("x")), "mistake"),
    )
    assert found["database"] == ("not checked", "The database did not answer: the server closed the connection.")
    assert found["redis"] == ("not checked", "No answer: RedisError.")
    assert found["mistake"][1].startswith("Bug in this check: KeyError in test_families.py, line ")
