"""Each family has its time; none brings the others down; what others need comes first."""

import threading
from collections.abc import Iterator

from django.db import OperationalError
from redis import RedisError

from apps.monitoring.doctor.checks import Check, CheckStoppedError, well, wrong
from apps.monitoring.doctor.examination import examine
from tests.monitoring.doctor.conftest import family

for_ever = threading.Event()


def fine() -> Iterator[Check]:
    yield well("one", "It is there.")
    yield well("two", "So is this.")


def gone() -> Iterator[Check]:
    yield wrong("one", "It is away.", "Start it.")
    raise CheckStoppedError("One is away.")


def hangs() -> Iterator[Check]:
    for_ever.wait()
    yield well("one", "Nobody ever sees this.")


def hangs_later() -> Iterator[Check]:
    yield well("one", "It is there.")
    for_ever.wait()


def verdicts(*families: object, longest_s: float = 10.0) -> dict[str, tuple[str, str]]:
    return {check.name: (check.verdict, check.found) for check in examine(families, longest_s=longest_s)}  # type: ignore[arg-type]


def test_whoever_needs_what_is_not_there_is_not_looked_at() -> None:
    found = verdicts(family(gone, "one", "two"), family(fine, "three", needs=("one",)))
    assert found == {
        "one": ("wrong", "It is away."),
        "two": ("not checked", "One is away."),
        "three": ("not checked", "It needs one: see above."),
    }


def test_what_hangs_costs_its_time_and_no_more() -> None:
    found = verdicts(
        family(hangs, "silent", longest_s=0.2, asks_somebody=True),
        family(hangs, "slow", longest_s=0.2),
        family(hangs_later, "one", "late", longest_s=0.2),
    )
    assert found["silent"] == ("wrong", "No answer within 0 s.")
    assert found["slow"][0] == "not checked", "it asks nobody: this machine is busy"
    assert found["one"] == ("ok", "It is there.")
    assert found["late"][0] == "not checked"


def test_all_of_it_has_its_time_too() -> None:
    many = [family(hangs, f"silent {number}") for number in range(20)]
    found = verdicts(*many, longest_s=0.3)
    assert len(found) == 20
    assert found["silent 19"] == ("not checked", "There was no time left for it.")


def test_errors_and_mistakes_are_told_in_words() -> None:
    def fails(error: Exception) -> Iterator[Check]:
        yield from ()
        raise error

    found = verdicts(
        family(lambda: fails(OperationalError("the server closed the connection")), "database"),
        family(lambda: fails(RedisError("no")), "redis"),
        family(lambda: fails(KeyError("x")), "mistake"),
    )
    assert found["database"] == ("not checked", "The database did not answer: the server closed the connection.")
    assert found["redis"] == ("not checked", "No answer: RedisError.")
    assert found["mistake"][1].startswith("This is a mistake of doctor's own: KeyError in test_examination.py, line ")
