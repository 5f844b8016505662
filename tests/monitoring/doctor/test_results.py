"""The results of doctor's pure checks, and how families of checks run."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from redis import RedisError

from apps.integrations.models import SyncLog
from apps.monitoring.doctor import checks, configuration, services, work
from apps.monitoring.doctor.checks import Check, CheckStoppedError, failure, ok, run_families
from apps.monitoring.models import StatusCheck
from tests.monitoring.doctor.conftest import family

SERVER = services.Server(
    version_number=160004,
    version="16.4 (Debian 16.4-1)",
    fsync="on",
    synchronous_commit="on",
    full_page_writes="on",
    is_read_only=False,
    most_connections=197,
    used_connections=12,
    now_s=0.0,
)
NOW = timezone.now()


@pytest.mark.parametrize(
    ("number", "result"), [(140012, "failed"), (150000, "ok"), (180001, "ok"), (190000, "warning")]
)
def test_versions_of_postgresql(number: int, result: str) -> None:
    check = services.check_postgres_version(replace(SERVER, version_number=number), took_s=0.004)
    assert (check.result, check.found) == (result, "PostgreSQL 16.4 answers in 4 ms.")


@pytest.mark.parametrize(
    ("about", "result"),
    [
        ({}, "ok"),
        ({"fsync": "off"}, "failed"),
        ({"full_page_writes": "off"}, "failed"),
        ({"synchronous_commit": "off"}, "failed"),
        ({"synchronous_commit": "remote_apply"}, "ok"),
    ],
)
def test_durability_settings(about: dict[str, Any], result: str) -> None:
    assert services.check_durability(replace(SERVER, **about)).result == result


@pytest.mark.parametrize(("most", "used", "result"), [(197, 12, "ok"), (197, 180, "failed"), (80, 5, "warning")])
def test_few_free_connections(most: int, used: int, result: str) -> None:
    check = services.check_connections(replace(SERVER, most_connections=most, used_connections=used))
    assert check.result == result


@pytest.mark.parametrize(
    ("ahead_s", "result", "words"),
    [
        (0.4, "ok", "agree"),
        (-1.9, "ok", "agree"),
        (5.0, "warning", "5 s ahead"),
        (-5.0, "warning", "5 s behind"),
        (90.0, "failed", "90 s ahead"),
    ],
)
def test_differing_clocks(ahead_s: float, result: str, words: str) -> None:
    check = services.check_clock("github clock", ahead_s, whose="GitHub's")
    assert check.result == result
    assert words in check.found


@pytest.mark.parametrize(("free", "result"), [(50 * 1024**3, "ok"), (1024**3, "warning"), (100 * 1024**2, "failed")])
def test_room_on_the_disk(free: int, result: str) -> None:
    assert configuration.check_free_space(free, folder="/var").result == result


@pytest.mark.parametrize(
    ("address", "about", "result"),
    [
        ("https://tf.example.com", {}, "ok"),
        ("http://tf.example.com", {}, "warning"),
        ("http://127.0.0.1:8000", {}, "warning"),
        ("https://tf.example.com", {"is_debug": True}, "failed"),
        ("https://tf.example.com", {"allowed_hosts": ["*"]}, "warning"),
    ],
)
def test_public_addresses(address: str, about: dict[str, Any], result: str) -> None:
    about = {"allowed_hosts": ["tf.example.com", "127.0.0.1"], "is_debug": False, **about}
    assert configuration.check_address(address, **about).result == result


def redis(**info: Any) -> dict[str, Any]:
    return {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "used_memory": 1, "maxmemory": 0, **info}


@pytest.mark.parametrize(
    ("check", "result"),
    [
        (services.check_redis_version(redis()), "ok"),
        (services.check_redis_version(redis(redis_version="6.0.16")), "failed"),
        (services.check_redis_version(redis(redis_version="10.0")), "ok"),
        (services.check_redis_version(redis(loading=1)), "failed"),
        (services.check_eviction(redis()), "ok"),
        (services.check_eviction(redis(maxmemory_policy="allkeys-lru")), "failed"),
        (services.check_memory(redis()), "ok"),
        (services.check_memory(redis(used_memory=90, maxmemory=100)), "failed"),
        (
            services.check_keys(["live", "unacked_index", "_kombu.binding.live", "tformance:github:{7}:token"], size=4),
            "ok",
        ),
        (services.check_keys(["live", "bull:mail:wait"], size=2), "warning"),
        (services.check_queue("live", ["worker@a"], waiting=3), "ok"),
        (services.check_queue("live", ["worker@a"], waiting=5_000), "warning"),
        (services.check_queue("live", [], waiting=0), "failed"),
        (services.check_beat(["a:1"]), "ok"),
        (services.check_beat([]), "failed"),
    ],
)
def test_redis_queues_and_beat(check: Check, result: str) -> None:
    assert check.result == result, check


@pytest.mark.parametrize(
    ("about", "result"),
    [
        ({"checked_at": NOW - timedelta(minutes=14)}, "ok"),
        ({"checked_at": NOW - timedelta(minutes=50)}, "failed"),
        ({"checked_at": NOW, "problems": ["broker_down"]}, "warning"),
    ],
)
def test_the_status_check(about: dict[str, Any], result: str) -> None:
    assert work.check_status_check(StatusCheck(**about), now=NOW).result == result


@pytest.mark.parametrize(
    ("status", "hours", "result"),
    [("completed", 3, "ok"), ("running", 1, "ok"), ("failed", 3, "warning"), ("completed", 27, "warning")],
)
def test_the_nightly_run(status: str, hours: int, result: str) -> None:
    run = SyncLog(sync_id="nightly:2026-03-02", status=status, created_at=NOW - timedelta(hours=hours))
    assert work.check_nightly_run(run, now=NOW).result == result


def test_what_has_not_run_yet_is_not_a_failure() -> None:
    assert work.check_status_check(None, now=NOW).result == "not checked"
    assert work.check_nightly_run(None, now=NOW).result == "not checked"


@pytest.mark.parametrize(
    "address",
    [
        "redis://:open@sesame-now@localhost:1/0",
        "redis://default:open%40sesame-now@localhost:1/0",
        "redis://localhost:1/0?password=open@sesame-now",
    ],
)
def test_no_part_of_a_redis_password_is_shown(address: str, settings: Any) -> None:
    settings.REDIS_URL = address
    assert services.redis_address() == "redis://localhost:1/0"
    assert checks.redact("refused: open@sesame-now") == f"refused: {checks.HIDDEN}"


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
    assert found["mistake"][1].startswith("Bug in this check: KeyError in test_results.py, line ")
