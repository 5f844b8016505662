"""What becomes of claimed deliveries, alone and in a batch, and what is logged of those that fail."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
from django.db import DataError, OperationalError, connection, transaction

from apps.activity.facts import Evidence, Fact
from apps.webhooks import claims, worker
from apps.webhooks.claims import claim_batch
from apps.webhooks.models import Delivery
from apps.webhooks.registry import Event
from apps.webhooks.retry import MOST_ATTEMPTS
from tests.webhooks.conftest import GitHub, MadeUpEvent, drain, drain_slow, expire_leases, make_due, only
from tests.webhooks.proxies import refused_port

pytestmark = pytest.mark.django_db
STATES = {
    "happened": ("processed", ""),
    "lacks_a_key": ("quarantined", "shape_mismatch"),
    "is_unusable": ("quarantined", "made_up_reason"),
    "breaks": ("failed", "translator_failed"),
    "never_heard_of": ("ignored", "unknown_action"),
}


@pytest.mark.parametrize(("action", "outcome"), STATES.items())
def test_an_action_ends_in_its_state(github: GitHub, action: str, outcome: tuple[str, str]) -> None:
    github.deliver({"action": action})
    drain()
    assert (only().state, only().reason) == outcome


@pytest.mark.parametrize(
    ("event", "payload", "outcome"),
    [
        ("made_up_and_ignored", {}, ("ignored", "ignored_event")),
        ("an_event_of_tomorrow", {}, ("ignored", "unknown_event")),
        ("made_up_without_action", {}, ("processed", "")),
        ("made_up_without_action", {"action": "created"}, ("ignored", "unknown_action")),
        ("made_up", {}, ("ignored", "unknown_action")),
        ("made_up", {"action": 5}, ("quarantined", "shape_mismatch")),
    ],
)
def test_an_event_ends_in_its_state(github: GitHub, event: str, payload: object, outcome: tuple[str, str]) -> None:
    github.deliver(payload, event=event)
    drain()
    assert (only().state, only().reason) == outcome


def test_a_translator_sees_the_event_as_it_came(github: GitHub, made_up_event: MadeUpEvent) -> None:
    guid = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    github.deliver_form({"action": "happened", "n": [1, {"ü": None}]}, guid=guid, hook_id=5)
    drain()
    (event,) = made_up_event.seen
    assert (event.name, event.action, event.hook_id, event.guid) == ("made_up", "happened", 5, guid)
    assert event.payload == {"action": "happened", "n": [1, {"ü": None}]}
    assert event.received_at == only().received_at


def test_each_delivery_of_a_batch_has_a_state_of_its_own(github: GitHub) -> None:
    for action in STATES:
        github.deliver({"action": action})
    github.post(b"[")
    assert drain() == 6
    assert Counter(Delivery.objects.values_list("state", flat=True)) == {
        "processed": 1,
        "quarantined": 3,
        "failed": 1,
        "ignored": 1,
    }


@pytest.mark.proof
def test_a_failed_delivery_waits_longer_each_time_and_is_dead_after_the_last(github: GitHub) -> None:
    github.deliver({"action": "breaks"})
    for attempt in range(1, MOST_ATTEMPTS):
        drain()
        assert (only().state, only().attempts) == ("failed", attempt)
        assert drain() == 0
        make_due()
    drain()
    assert (only().state, only().reason, only().attempts) == ("dead", "translator_failed", MOST_ATTEMPTS)
    assert "RuntimeError: a bug in the translator" in only().error
    make_due()
    assert drain() == 0


@dataclass(frozen=True)
class MadeUpFact(Fact):
    """Something only these tests record; recording it fails as it says."""

    fails_as: str | None = None


def provoke(cause: type[psycopg.Error]) -> Callable[[str], OperationalError]:
    """An error as Django raises it for one of the server's."""

    def make(message: str) -> OperationalError:
        error = OperationalError(message)
        error.__cause__ = cause(message)
        return error

    return make


def go_away(message: str) -> OperationalError:
    """From here on nobody listens where the database was."""
    connection.settings_dict.update(HOST="127.0.0.1", PORT=str(refused_port()))
    return OperationalError(message)


FAILURES: dict[str, Callable[[str], Exception]] = {
    "bug": RuntimeError,
    "value": DataError,
    "absent database": go_away,
    "memory": provoke(psycopg.errors.OutOfMemory),
    "lost connection": provoke(psycopg.OperationalError),
    "index row too large": provoke(psycopg.errors.ProgramLimitExceeded),
    "disk full": provoke(psycopg.errors.DiskFull),
    "read-only": provoke(psycopg.errors.ReadOnlySqlTransaction),
}


@pytest.fixture
def come_back() -> Iterator[Callable[[], None]]:
    """The database is where it was again."""
    known = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}

    def restore() -> None:
        connection.settings_dict.update(known)

    yield restore
    restore()


def made_up_fact(event: Event) -> tuple[MadeUpFact]:
    return (MadeUpFact(event.payload.get("fails_as")),)


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Break recording on purpose: how many deliveries each call recorded, or tried to."""
    calls: list[int] = []

    def record(evidence: list[Evidence]) -> None:
        calls.append(len(evidence))
        for fact in (fact for piece in evidence for fact in piece.facts):
            if fact.fails_as is not None:
                raise FAILURES[fact.fails_as]("on purpose")

    monkeypatch.setattr(worker, "record", record)
    return calls


def test_a_batch_is_recorded_together(github: GitHub, made_up_event: MadeUpEvent, records: list[int]) -> None:
    made_up_event.make_facts = made_up_fact
    for _ in range(7):
        github.deliver()
    drain()
    assert records == [7]


def test_only_the_delivery_at_fault_fails(github: GitHub, made_up_event: MadeUpEvent, records: list[int]) -> None:
    made_up_event.make_facts = made_up_fact
    for fails_as in (None, "bug", None, "value"):
        github.deliver({"action": "happened", "fails_as": fails_as})
    drain()
    assert records == [4, 1, 1, 1, 1]
    assert list(Delivery.objects.order_by("id").values_list("state", "reason")) == [
        ("processed", ""),
        ("failed", "recording_failed"),
        ("processed", ""),
        ("quarantined", "unrecordable"),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_costs_no_attempt(
    github: GitHub, made_up_event: MadeUpEvent, records: list[int], come_back: Callable[[], None]
) -> None:
    made_up_event.make_facts = made_up_fact
    for fails_as in (None, "absent database"):
        github.deliver({"action": "happened", "fails_as": fails_as})
    with pytest.raises(OperationalError):
        drain()
    come_back()
    assert drain() == 0
    assert set(Delivery.objects.values_list("state", "attempts", "crashes", "leased_by")) == {("received", 0, 0, "")}
    made_up_event.make_facts = lambda event: ()
    make_due()
    drain()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"processed"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fails_as", ["memory", "lost connection"])
def test_only_the_delivery_that_provokes_an_infrastructure_error_fails(
    github: GitHub, made_up_event: MadeUpEvent, records: list[int], fails_as: str
) -> None:
    made_up_event.make_facts = made_up_fact
    for name in (None, fails_as, None):
        github.deliver({"action": "happened", "fails_as": name})
    drain()
    assert records == [3, 1, 1, 1]
    assert list(Delivery.objects.order_by("id").values_list("state", "reason", "attempts", "crashes")) == [
        ("processed", "", 1, 0),
        ("failed", "recording_failed", 1, 0),
        ("processed", "", 1, 0),
    ]
    for _ in range(MOST_ATTEMPTS):
        make_due()
        drain_slow()
    assert Counter(Delivery.objects.values_list("state", flat=True)) == {"processed": 2, "dead": 1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fails_as", ["disk full", "read-only"])
def test_a_database_that_cannot_write_costs_no_attempt(
    github: GitHub, made_up_event: MadeUpEvent, records: list[int], fails_as: str
) -> None:
    made_up_event.make_facts = made_up_fact
    github.deliver({"action": "happened", "fails_as": fails_as})
    with pytest.raises(OperationalError):
        drain()
    assert (only().state, only().attempts, only().crashes) == ("received", 0, 0)


def test_a_value_too_long_for_its_index_quarantines_its_delivery(
    github: GitHub, made_up_event: MadeUpEvent, records: list[int]
) -> None:
    made_up_event.make_facts = made_up_fact
    github.deliver({"action": "happened", "fails_as": "index row too large"})
    drain()
    assert (only().state, only().reason, only().attempts) == ("quarantined", "unrecordable", 1)


def test_neither_row_nor_log_has_the_contents_of_a_refused_row(
    github: GitHub, made_up_event: MadeUpEvent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def record(evidence: list[Evidence]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO webhooks_refusal (status, headers, reason) VALUES (401, '{}', 'so private')")

    monkeypatch.setattr(worker, "record", record)
    github.deliver()
    drain()
    assert only().state == "failed"
    assert only().error.startswith("IntegrityError: 23502 null value in column")
    (logged,) = (entry for entry in caplog.records if entry.message == "recording_failed")
    assert (vars(logged)["error"], vars(logged)["sqlstate"]) == ("IntegrityError", "23502")
    assert "so private" not in only().error + caplog.text


def test_claims_that_could_not_be_released_are_released_later(github: GitHub) -> None:
    github.deliver()
    (claimed,) = claim_batch([], task_id="t")
    claims._held[claimed.id] = claimed.claim_number
    assert drain() == 0
    assert (only().state, only().claim_number) == ("received", 1)
    make_due()
    assert drain() == 1


def test_a_claim_taken_over_meanwhile_is_not_released(github: GitHub) -> None:
    github.deliver()
    (claimed,) = claim_batch([], task_id="t")
    expire_leases()
    claims._held[claimed.id] = 0
    claims.release_leftovers()
    assert only().state == "running"


@pytest.mark.django_db(transaction=True)
def test_a_batch_out_of_time_is_claimed_one_by_one(github: GitHub) -> None:
    github.deliver()
    github.deliver({"action": "takes_too_long"})
    github.deliver()
    drain()
    assert Counter(Delivery.objects.values_list("state", "reason")) == {
        ("processed", ""): 2,
        ("failed", "timed_out"): 1,
    }
    assert set(Delivery.objects.values_list("crashes", flat=True)) == {0}


@pytest.mark.django_db(transaction=True)
def test_facts_and_states_commit_together(
    github: GitHub, made_up_event: MadeUpEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[bool] = []

    def record(evidence: list[Evidence]) -> None:
        inside.append(transaction.get_connection().in_atomic_block)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE webhooks_delivery SET error = 'recorded'")

    def lose(verdicts: object) -> None:
        raise RuntimeError("on purpose")

    made_up_event.make_facts = made_up_fact
    monkeypatch.setattr(worker, "record", record)
    monkeypatch.setattr(worker, "finish", lose)
    github.deliver()
    drain()
    assert inside == [True]
    assert (only().state, only().error) == ("failed", "RuntimeError: on purpose")


def test_a_delivery_whose_body_is_gone_is_quarantined(github: GitHub) -> None:
    github.deliver()
    only().body.delete()
    drain()
    assert (only().state, only().reason) == ("quarantined", "body_expired")


def test_a_translator_that_fails_is_logged_by_its_place(github: GitHub, caplog: pytest.LogCaptureFixture) -> None:
    github.deliver({"action": "breaks"})
    drain()
    assert only().state == "failed"
    (entry,) = (entry for entry in caplog.records if entry.message == "translator_failed")
    assert vars(entry)["error"] == "RuntimeError"
    assert vars(entry)["where"][-1].endswith(" breaks")
    assert "a bug in the translator" not in caplog.text
