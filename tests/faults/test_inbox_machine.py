"""The inbox under every interleaving Hypothesis can think of, beside a model of a few lines.

Several workers claim, finish too late, die before or after their commit; leases run out, GitHub delivers again,
operators replay, bodies expire. After each step the rows, the facts and what PostgreSQL's own witness saw must be what
the model says.
"""

import json
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from apps.activity import facts
from apps.activity.facts import Fact
from apps.activity.models import Contributor
from apps.webhooks import claims, intake, registry, replay, retention, wakeups
from apps.webhooks import worker as deliveries
from apps.webhooks.claims import MOST_CRASHES, Claimed
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import Event
from apps.webhooks.retry import MOST_ATTEMPTS
from apps.webhooks.signature import GitHubHook
from tests.delivery_times import set_received_at
from tests.rig.engines import WITNESS

LONG_AGO = "2020-01-01T00:00:00Z"
KEYS = st.sets(st.integers(min_value=1, max_value=6), min_size=1)
WORKERS = st.sampled_from(["a", "b", "a", "b", "c"])  # few, and long runs: or hardly anybody would ever come late
HAPPENINGS = st.sampled_from(
    [
        "deliver",
        "claim",
        "claim",
        "examine",
        "examine",
        "examine what its task held",
        "finish",
        "finish",
        "crash",
        "let_leases_run_out",
        "let_leases_run_out",
        "let_waits_pass",
        "replay",
        "prune",
    ]
)
KINDS = {1: "good", 2: "good", 3: "good", 4: "good", 5: "unusable", 6: "broken"}


@dataclass
class Known:
    """What the model knows of a delivery."""

    state: str = "received"
    claim: int = 0
    leased_by: str = ""
    is_due: bool = True
    is_alone: bool = False
    has_lapsed: bool = False
    attempts: int = 0
    crashes: int = 0
    effects: int = 0
    has_body: bool = True

    def stop_running(self) -> None:
        self.leased_by, self.is_alone, self.has_lapsed = "", False, False

    def arm(self) -> None:
        self.state, self.attempts, self.crashes, self.is_due = "received", 0, 0, True


def translate(event: Event) -> tuple[Fact, ...]:
    match event.payload["kind"]:
        case "unusable":
            raise UnusablePayloadError("made_up_reason")
        case "broken":
            raise RuntimeError("a bug in the translator")
    number = event.payload["number"]
    stamp = facts.Stamp(source_updated_at=event.received_at, translator_version=1)
    return (facts.ContributorProfile(stamp=stamp, github_id=number, login=f"somebody-{number}", kind="user"),)


class InboxMachine(RuleBasedStateMachine):
    """Rules are what can happen; the model is `self.known`."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, Known] = {}
        self.held: dict[str, list[Claimed]] = {}
        self.ids: dict[int, int] = {}
        self.highest: Counter[int] = Counter()

    @initialize()
    def begin(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM webhooks_deliverybody; DELETE FROM webhooks_delivery; DELETE FROM rig_witness;"
                "DELETE FROM activity_provenance; DELETE FROM activity_change; DELETE FROM activity_contributor"
            )

    @rule(what=HAPPENINGS, worker=WORKERS, keys=KEYS)
    def something_happens(self, what: str, worker: str, keys: set[int]) -> None:
        """One rule: of several, Hypothesis leaves some out of each run, and a bad interleaving needs most of them."""
        match what:
            case "deliver":
                self.deliver(keys)
            case "replay":
                self.replay(keys)
            case "examine" | "examine what its task held":
                self.examine(worker, is_redelivered=what != "examine")
            case "claim" | "finish" | "crash":
                getattr(self, what)(worker)
            case _:
                getattr(self, what)()

    def deliver(self, keys: set[int]) -> None:
        """GitHub posts, or posts again."""
        for key in sorted(keys):
            self._deliver(key)

    def _deliver(self, key: int) -> None:
        hook = GitHubHook(hook_id=1, guid=UUID(int=key), event="machine", headers={"content-type": "application/json"})
        receipt = intake.receive(hook, json.dumps({"number": key, "kind": KINDS[key]}).encode())
        self.ids[receipt.id] = key
        known = self.known.get(key)
        if known is None:
            self.known[key] = Known()
        elif known.state in {"failed", "dead"}:
            known.arm()

    def claim(self, worker: str) -> None:
        """A worker takes whatever is due, whatever it held before."""
        batch = claims.claim_batch([], task_id=worker)
        due = self._due()
        assert {self.ids[claimed.id] for claimed in batch} == due
        for key in due:
            known = self.known[key]
            known.state, known.leased_by, known.is_alone, known.has_lapsed = "running", worker, False, False
            known.claim += 1
        self.held[worker] = [*self.held.get(worker, []), *batch]

    def _due(self) -> set[int]:
        return {key for key, known in self.known.items() if known.state in {"received", "failed"} and known.is_due}

    def _running(self) -> list[Known]:
        return [known for known in self.known.values() if known.state == "running"]

    def examine(self, worker: str, *, is_redelivered: bool) -> None:
        """A worker takes one delivery whose last worker said nothing; a redelivered message takes its own at once."""
        suspects = [
            (known.is_alone, known.crashes + known.is_alone, row_id)
            for row_id, key in self.ids.items()
            if (known := self.known[key]).state == "running"
            and (known.has_lapsed or (is_redelivered and known.leased_by == worker))
        ]
        claimed = claims.claim_suspect(task_id=worker, is_redelivered=is_redelivered)
        assert (claimed is None) == (not suspects)
        if claimed is None:
            return
        assert claimed.id == min(suspects)[2]
        known = self.known[self.ids[claimed.id]]
        known.crashes += known.is_alone
        known.claim += 1
        known.stop_running()
        if known.crashes >= MOST_CRASHES:
            known.state = "dead"
            return
        known.leased_by, known.is_alone = worker, True
        self.held[worker] = [*self.held.get(worker, []), claimed]

    def finish(self, worker: str) -> None:
        """A worker gives its verdicts, however late; only those of claims that are still its own count."""
        held = self.held.pop(worker, [])
        deliveries.process(held)
        for claimed in held:
            known = self.known[self.ids[claimed.id]]
            if (known.state, known.claim) == ("running", claimed.claim_number):
                self._give_verdict(known, kind=KINDS[self.ids[claimed.id]])

    def _give_verdict(self, known: Known, *, kind: str) -> None:
        known.stop_running()
        known.attempts += 1
        if not known.has_body or kind == "unusable":
            known.state = "quarantined"
        elif kind == "broken":
            known.state = "dead" if known.attempts >= MOST_ATTEMPTS else "failed"
            known.is_due = False
        else:
            known.state = "processed"
            known.effects += 1

    def crash(self, worker: str) -> None:
        """A worker dies; whatever it had claimed stays claimed."""
        self.held.pop(worker, None)

    def let_leases_run_out(self) -> None:
        Delivery.objects.filter(state="running").update(lease_until=LONG_AGO)
        for known in self.known.values():
            known.has_lapsed = known.state == "running"

    def let_waits_pass(self) -> None:
        Delivery.objects.update(not_before=LONG_AGO)
        for known in self.known.values():
            known.is_due = True

    def replay(self, keys: set[int]) -> None:
        """An operator has deliveries processed again."""
        ids = [row_id for row_id, key in self.ids.items() if key in keys]
        replay.replay(Delivery.objects.filter(id__in=ids))
        for key in keys & self.known.keys():
            known = self.known[key]
            if known.state != "running" and known.has_body:
                known.arm()

    def prune(self) -> None:
        """Retention deletes the bodies of what took effect long ago."""
        set_received_at(Delivery.objects.all(), LONG_AGO)
        retention.prune_bodies()
        for known in self.known.values():
            known.has_body = known.has_body and known.state not in {"processed", "ignored"}

    @invariant()
    def every_delivery_is_where_the_model_says(self) -> None:
        rows = Delivery.objects.values_list("id", "state", "claim_number", "attempts", "crashes", "leased_by")
        assert {self.ids[row_id]: tuple(rest) for row_id, *rest in rows} == {
            key: (known.state, known.claim, known.attempts, known.crashes, known.leased_by)
            for key, known in self.known.items()
        }

    @invariant()
    def what_is_processed_has_taken_effect_and_nothing_else_has(self) -> None:
        applied = set(Contributor.objects.values_list("github_id", flat=True))
        assert applied == {key for key, known in self.known.items() if known.effects}

    @invariant()
    def nothing_takes_effect_more_often_than_it_should(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT delivery_id, count(*) FROM rig_witness WHERE what = 'effect' GROUP BY delivery_id")
            seen = {self.ids[row_id]: count for row_id, count in cursor.fetchall()}
        assert seen == {key: known.effects for key, known in self.known.items() if known.effects}

    @invariant()
    def claim_numbers_only_grow_and_attempts_and_crashes_are_bounded(self) -> None:
        for key, known in self.known.items():
            assert known.claim >= self.highest[key]
            assert known.attempts <= MOST_ATTEMPTS
            assert known.crashes <= MOST_CRASHES
            self.highest[key] = known.claim


@pytest.mark.proof
@pytest.mark.django_db
def test_no_interleaving_loses_or_doubles_a_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "notify", lambda wakeup: None)  # the machine wakes its workers itself
    monkeypatch.setattr(wakeups, "enqueue_deliveries", lambda ids: 0)
    with connection.cursor() as cursor, registry.scoped_registration():
        cursor.execute(WITNESS)
        registry.translates("machine")(translate)
        run_state_machine_as_test(
            InboxMachine,
            settings=settings(
                max_examples=25,
                stateful_step_count=50,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
