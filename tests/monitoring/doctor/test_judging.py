"""What is judged from what was found, without asking anybody."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.integrations.models import SyncLog
from apps.monitoring.doctor import checks, configuration, services, work
from apps.monitoring.doctor.checks import Check
from apps.monitoring.models import StatusCheck

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
    ("number", "verdict"), [(140012, "wrong"), (150000, "ok"), (180001, "ok"), (190000, "warning")]
)
def test_versions_of_postgresql(number: int, verdict: str) -> None:
    check = services.judge_postgres_version(replace(SERVER, version_number=number), took_s=0.004)
    assert (check.verdict, check.found) == (verdict, "PostgreSQL 16.4 answers in 4 ms.")


@pytest.mark.parametrize(
    ("about", "verdict"),
    [
        ({}, "ok"),
        ({"fsync": "off"}, "wrong"),
        ({"full_page_writes": "off"}, "wrong"),
        ({"synchronous_commit": "off"}, "wrong"),
        ({"synchronous_commit": "remote_apply"}, "ok"),
    ],
)
def test_what_is_committed_must_last(about: dict[str, Any], verdict: str) -> None:
    assert services.judge_durability(replace(SERVER, **about)).verdict == verdict


@pytest.mark.parametrize(("most", "used", "verdict"), [(197, 12, "ok"), (197, 180, "wrong"), (80, 5, "warning")])
def test_connections_run_out(most: int, used: int, verdict: str) -> None:
    check = services.judge_connections(replace(SERVER, most_connections=most, used_connections=used))
    assert check.verdict == verdict


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "words"),
    [
        (0.4, "ok", "agree"),
        (-1.9, "ok", "agree"),
        (5.0, "warning", "5 s ahead"),
        (-5.0, "warning", "5 s behind"),
        (90.0, "wrong", "90 s ahead"),
    ],
)
def test_clocks_that_differ(ahead_s: float, verdict: str, words: str) -> None:
    check = services.judge_clock("github clock", ahead_s, whose="GitHub's")
    assert check.verdict == verdict
    assert words in check.found


@pytest.mark.parametrize(("free", "verdict"), [(50 * 1024**3, "ok"), (1024**3, "warning"), (100 * 1024**2, "wrong")])
def test_room_on_the_disk(free: int, verdict: str) -> None:
    assert configuration.judge_room(free, folder="/var").verdict == verdict


@pytest.mark.parametrize(
    ("address", "about", "verdict"),
    [
        ("https://tf.example.com", {}, "ok"),
        ("http://tf.example.com", {}, "warning"),
        ("http://127.0.0.1:8000", {}, "warning"),
        ("https://tf.example.com", {"is_debug": True}, "wrong"),
        ("https://tf.example.com", {"allowed_hosts": ["*"]}, "warning"),
    ],
)
def test_addresses(address: str, about: dict[str, Any], verdict: str) -> None:
    about = {"allowed_hosts": ["tf.example.com", "127.0.0.1"], "is_debug": False, **about}
    assert configuration.judge_address(address, **about).verdict == verdict


def redis(**told: Any) -> dict[str, Any]:
    return {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "used_memory": 1, "maxmemory": 0, **told}


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (services.judge_redis_version(redis()), "ok"),
        (services.judge_redis_version(redis(redis_version="6.0.16")), "wrong"),
        (services.judge_redis_version(redis(redis_version="10.0")), "ok"),
        (services.judge_redis_version(redis(loading=1)), "wrong"),
        (services.judge_eviction(redis()), "ok"),
        (services.judge_eviction(redis(maxmemory_policy="allkeys-lru")), "wrong"),
        (services.judge_memory(redis()), "ok"),
        (services.judge_memory(redis(used_memory=90, maxmemory=100)), "wrong"),
        (
            services.judge_keys(["live", "unacked_index", "_kombu.binding.live", "tformance:github:{7}:token"], size=4),
            "ok",
        ),
        (services.judge_keys(["live", "bull:mail:wait"], size=2), "warning"),
        (services.judge_queue("live", ["worker@a"], waiting=3), "ok"),
        (services.judge_queue("live", ["worker@a"], waiting=5_000), "warning"),
        (services.judge_queue("live", [], waiting=0), "wrong"),
        (services.judge_beat(["a:1"]), "ok"),
        (services.judge_beat([]), "wrong"),
    ],
)
def test_redis_and_those_who_listen(check: Check, verdict: str) -> None:
    assert check.verdict == verdict, check


@pytest.mark.parametrize(
    ("about", "verdict"),
    [
        ({"checked_at": NOW - timedelta(minutes=14)}, "ok"),
        ({"checked_at": NOW - timedelta(minutes=50)}, "wrong"),
        ({"checked_at": NOW, "problems": ["broker_down"]}, "warning"),
    ],
)
def test_the_watch(about: dict[str, Any], verdict: str) -> None:
    assert work.judge_watch(StatusCheck(**about), now=NOW).verdict == verdict


@pytest.mark.parametrize(
    ("status", "hours", "verdict"),
    [("completed", 3, "ok"), ("running", 1, "ok"), ("failed", 3, "warning"), ("completed", 27, "warning")],
)
def test_the_nightly_run(status: str, hours: int, verdict: str) -> None:
    run = SyncLog(sync_id="nightly:2026-03-02", status=status, created_at=NOW - timedelta(hours=hours))
    assert work.judge_night(run, now=NOW).verdict == verdict


def test_what_was_not_there_yet_is_not_called_wrong() -> None:
    assert work.judge_watch(None, now=NOW).verdict == "not checked"
    assert work.judge_night(None, now=NOW).verdict == "not checked"


@pytest.mark.parametrize(
    "address",
    [
        "redis://:open@sesame-now@localhost:1/0",
        "redis://default:open%40sesame-now@localhost:1/0",
        "redis://localhost:1/0?password=open@sesame-now",
    ],
)
def test_no_part_of_a_password_of_redis_is_shown(address: str, settings: Any) -> None:
    settings.REDIS_URL = address
    assert services.settings_host() == "redis://localhost:1/0"
    assert checks.safe("refused: open@sesame-now") == f"refused: {checks.HIDDEN}"
