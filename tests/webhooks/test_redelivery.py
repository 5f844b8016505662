"""The same key again: duplicates, redeliveries, conflicts, and the same body under another key."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.test import Client

from apps.webhooks import intake, parsing, wakeups
from apps.webhooks.inbox_overview import RESPONSES
from apps.webhooks.models import Delivery, DeliveryBody, OtherBody
from apps.webhooks.retry import MOST_ATTEMPTS
from apps.webhooks.tasks import process_slow_deliveries
from tests.webhooks.conftest import GitHub, MadeUpEvent, drain, make_due, only

GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["happened", "is_unusable", "unheard_of"])
def test_a_redelivery_of_a_finished_delivery_is_a_counted_no_op(
    github: GitHub, made_up_event: MadeUpEvent, action: str
) -> None:
    github.deliver({"action": action}, guid=GUID)
    drain()
    before = only()
    answer = github.deliver({"action": action}, guid=GUID)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "duplicate")
    drain()
    assert (only().state, only().claim_number, only().duplicates) == (before.state, before.claim_number, 1)


@pytest.mark.django_db
def test_a_redelivery_of_a_waiting_or_running_delivery_changes_nothing(github: GitHub) -> None:
    github.deliver(guid=GUID)
    assert github.deliver(guid=GUID).json()["outcome"] == "duplicate"
    Delivery.objects.update(state="running", lease_until="2999-01-01T00:00:00Z", claim_number=1)
    assert github.deliver(guid=GUID).json()["outcome"] == "duplicate"
    assert (only().state, only().duplicates) == ("running", 2)


@pytest.mark.django_db
def test_a_redelivery_arms_a_failed_delivery_again(github: GitHub) -> None:
    github.deliver({"action": "breaks"}, guid=GUID)
    drain()
    assert (only().state, only().reason, only().attempts) == ("failed", "translator_failed", 1)
    assert drain() == 0
    assert github.deliver({"action": "breaks"}, guid=GUID).json()["outcome"] == "rearmed"
    assert (only().state, only().attempts, only().claim_number) == ("received", 0, 1)
    assert drain() == 1


@pytest.mark.django_db
def test_a_redelivery_arms_a_dead_delivery_again(github: GitHub) -> None:
    github.deliver({"action": "breaks"}, guid=GUID)
    for _ in range(MOST_ATTEMPTS):
        make_due()
        drain()
    assert (only().state, only().attempts) == ("dead", MOST_ATTEMPTS)
    github.deliver({"action": "breaks"}, guid=GUID)
    assert (only().state, only().finished_at, only().crashes) == ("received", None, 0)


@pytest.mark.django_db
def test_two_hooks_with_one_guid_are_two_deliveries(github: GitHub) -> None:
    github.deliver(guid=GUID, hook_id=1)
    github.deliver(guid=GUID, hook_id=2)
    assert Delivery.objects.count() == 2


@pytest.mark.django_db
def test_other_content_under_the_same_key_is_a_conflict_and_the_first_is_kept(github: GitHub) -> None:
    github.deliver({"action": "happened", "number": 1}, guid=GUID)
    assert github.deliver({"action": "happened", "number": 2}, guid=GUID).json()["outcome"] == "other_bytes"
    assert intake.compare_other_bodies() == 1
    assert (only().is_conflict, only().duplicates) == (True, 1)
    assert json.loads(bytes(DeliveryBody.objects.get().content))["number"] == 1


@pytest.mark.django_db
@pytest.mark.parametrize("again", [b'{ "b": 2, "action": "happened" }', b'{"action":"happened","b":2}\n'])
def test_the_same_document_in_other_bytes_is_no_conflict(github: GitHub, again: bytes) -> None:
    github.deliver({"action": "happened", "b": 2}, guid=GUID)
    assert github.post(again, guid=GUID).json()["outcome"] == "other_bytes"
    assert github.deliver_form({"action": "happened", "b": 2}, guid=GUID).json()["outcome"] == "other_bytes"
    assert intake.compare_other_bodies() == 2
    assert not OtherBody.objects.exists()
    assert (only().is_conflict, only().duplicates) == (False, 2)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "again", "is_conflict"),
    [("1", "1.0", False), ("[100]", "[1e2]", False), ("0", "-0.0", False), ("1", "true", True), ("1", "1.5", True)],
)
def test_numbers_are_compared_by_value(github: GitHub, first: str, again: str, is_conflict: bool) -> None:
    for number in (first, again):
        github.post(f'{{"action": "happened", "b": {number}}}'.encode(), guid=GUID)
    assert intake.compare_other_bodies() == 1
    assert only().is_conflict is is_conflict


@pytest.mark.django_db
def test_garbage_under_a_known_key_is_a_conflict_and_202(github: GitHub) -> None:
    github.deliver(guid=GUID)
    assert github.post(b"[" * 100_000, guid=GUID).status_code == 202
    intake.compare_other_bodies()
    assert only().is_conflict


@pytest.mark.django_db
def test_content_that_expired_cannot_conflict(github: GitHub) -> None:
    github.deliver({"action": "happened", "number": 1}, guid=GUID)
    drain()
    DeliveryBody.objects.all().delete()
    assert github.deliver({"action": "happened", "number": 2}, guid=GUID).status_code == 202
    intake.compare_other_bodies()
    assert not only().is_conflict


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_a_large_body_under_a_known_key_is_compared_too(github: GitHub) -> None:
    for number in (1, 2):
        payload = {"action": "happened", "number": number, "text": "x" * 2**21}
        assert github.deliver(payload, guid=GUID).status_code == 202
    assert intake.compare_other_bodies() == 1
    assert only().is_conflict


@pytest.mark.django_db
def test_the_receiver_reads_no_document(github: GitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    github.deliver(guid=GUID)
    read: list[bytes] = []
    decode = parsing._DECODER.decode
    monkeypatch.setattr(parsing, "_DECODER", SimpleNamespace(decode=lambda text: read.append(text) or decode(text)))
    assert github.deliver({"action": "other"}, guid=GUID).status_code == 202
    assert not read
    intake.compare_other_bodies()
    assert len(read) == 2


@pytest.mark.django_db
def test_other_bytes_that_came_twice_are_compared_once(github: GitHub) -> None:
    github.deliver(guid=GUID)
    for _ in range(2):
        github.deliver({"action": "other"}, guid=GUID)
    assert intake.compare_other_bodies() == 1


@pytest.mark.django_db
def test_a_comparison_that_never_ends_is_given_up_and_no_conflict(
    github: GitHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    github.deliver({"action": "happened", "b": 2}, guid=GUID)
    github.post(b'{ "b": 2, "action": "happened" }', guid=GUID)
    with monkeypatch.context() as broken:
        broken.setattr(intake, "_is_conflict", Mock(side_effect=SoftTimeLimitExceeded))
        for _ in range(intake.MOST_ATTEMPTS):
            with pytest.raises(SoftTimeLimitExceeded):
                intake.compare_other_bodies()
            assert intake.compare_other_bodies() == 0, "it is not due again yet"
            OtherBody.objects.update(not_before="2020-01-01T00:00:00Z")
    assert intake.compare_other_bodies() == 1
    assert "conflict_not_checked" in caplog.messages
    assert not OtherBody.objects.exists()
    assert not only().is_conflict


@pytest.mark.django_db
def test_the_dispatcher_asks_for_a_comparison_while_there_is_one(
    github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(wakeups, "enqueue_slow_delivery", lambda: asked.append(True) or True)
    github.deliver(guid=GUID)
    github.deliver({"action": "other"}, guid=GUID)
    wakeups.dispatch_deliveries()
    assert len(asked) == 1
    assert process_slow_deliveries.apply().get() == 1
    assert only().is_conflict
    wakeups.dispatch_deliveries()
    assert len(asked) == 1


@pytest.mark.django_db
def test_a_captured_body_under_a_new_guid_is_flagged(github: GitHub) -> None:
    github.deliver({"action": "happened", "number": 1})
    github.deliver({"action": "happened", "number": 1})
    github.deliver({"action": "happened", "number": 2})
    drain()
    assert list(Delivery.objects.order_by("id").values_list("is_replayed_body", flat=True)) == [False, True, False]


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_200_concurrent_posts_of_one_guid_make_one_row(made_up_event: MadeUpEvent) -> None:
    guid = str(uuid.uuid4())
    counted = RESPONSES.labels("stored")._value.get()

    def post(_: int) -> int:
        try:
            return GitHub(client=Client()).deliver(guid=guid).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(post, range(200))) == {202}
    assert only().duplicates == 199
    assert RESPONSES.labels("stored")._value.get() == counted + 1
    drain()
    assert len(made_up_event.seen) == 1
