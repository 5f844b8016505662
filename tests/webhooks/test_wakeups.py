"""The doorbell: what it sends, and what a broken broker costs."""

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings

from apps.jobs.wakeups import WAKEUPS
from apps.webhooks import wakeups
from apps.webhooks.wakeups import Wakeup, WakeupSender
from tests.webhooks.conftest import HOOK_ID, GitHub, eventually, only
from tests.webhooks.proxies import refused_port, silent_server


def wakeups_counted(outcome: str) -> float:
    return WAKEUPS.labels(outcome)._value.get()


@pytest.fixture
def queue() -> Iterator[redis.Redis]:
    broker = redis.Redis.from_url(django_settings.CELERY_BROKER_URL)
    broker.delete("live")
    yield broker
    broker.delete("live")
    broker.close()


def messages(broker: redis.Redis) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in broker.lrange("live", 0, -1)]


@pytest.mark.django_db
def test_a_delivery_rings_under_its_own_key(
    github: GitHub, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "_sender", WakeupSender())
    guid = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    github.deliver(guid=guid)
    eventually(lambda: queue.llen("live") == 1)
    headers = messages(queue)[0]["headers"]
    assert headers["id"] == f"{HOOK_ID}:{guid}"
    assert headers["task"] == "apps.webhooks.tasks.process_deliveries"
    assert headers["argsrepr"] == f"[[{only().id}]]"


@pytest.mark.django_db
def test_a_duplicate_rings_for_nobody(github: GitHub, queue: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_sender", WakeupSender())
    for guid in ["72d3162e-cc78-11e3-81ab-4c9367dc0958"] * 3 + ["82d3162e-cc78-11e3-81ab-4c9367dc0958"]:
        github.deliver(guid=guid)
    eventually(lambda: sum(len(json.loads(m["headers"]["argsrepr"])[0]) for m in messages(queue)) == 2)


def test_a_message_is_followed_by_a_recalculation(queue: redis.Redis) -> None:
    WakeupSender().send_now([Wakeup(id=1, key="a"), Wakeup(id=2, key="b")])
    (message,) = messages(queue)
    assert message["headers"]["argsrepr"] == "[[1, 2]]"
    _, _, embedded = json.loads(b64decode(message["body"]))
    (follower,) = embedded["callbacks"]
    assert (follower["task"], follower["immutable"]) == ("apps.metrics.tasks.recalculate_stale", True)


def test_a_message_names_50_deliveries_at_most(queue: redis.Redis) -> None:
    WakeupSender().send_now([Wakeup(id=number, key=str(number)) for number in range(120)])
    assert sorted(len(json.loads(m["headers"]["argsrepr"])[0]) for m in messages(queue)) == [20, 50, 50]


def test_a_dead_broker_is_asked_once_and_then_left_alone() -> None:
    sender = WakeupSender(broker_url=f"redis://127.0.0.1:{refused_port()}/0")
    failed, skipped = wakeups_counted("failed"), wakeups_counted("skipped")
    for number in range(5):
        sender.send_now([Wakeup(id=number, key=str(number))])
    assert (wakeups_counted("failed"), wakeups_counted("skipped")) == (failed + 1, skipped + 4)


def test_a_silent_broker_is_given_up() -> None:
    with silent_server() as port:
        sender = WakeupSender(broker_url=f"redis://127.0.0.1:{port}/0")
        failed = wakeups_counted("failed")
        sender.send_now([Wakeup(id=1, key="a")])
        assert wakeups_counted("failed") == failed + 1


def test_wake_ups_recover_with_the_broker(queue: redis.Redis) -> None:
    sender = WakeupSender(broker_url=f"redis://127.0.0.1:{refused_port()}/0")
    sender.send_now([Wakeup(id=1, key="a")])
    sender._broker_url, sender._quiet_until_s = None, 0.0  # the broker is back, and the quiet is over
    sender.send_now([Wakeup(id=2, key="b")])
    assert [m["headers"]["argsrepr"] for m in messages(queue)] == ["[[2]]"]


@pytest.mark.django_db
@pytest.mark.parametrize("is_silent", [True, False])
def test_a_broken_broker_changes_no_answer(github: GitHub, monkeypatch: pytest.MonkeyPatch, is_silent: bool) -> None:
    with silent_server() as port:
        sender = WakeupSender(broker_url=f"redis://127.0.0.1:{port if is_silent else refused_port()}/0")
        monkeypatch.setattr(wakeups, "_sender", sender)
        failed = wakeups_counted("failed")
        assert {github.deliver().status_code for _ in range(20)} == {202}
        eventually(lambda: wakeups_counted("failed") > failed)
