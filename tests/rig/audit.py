"""The audit after faults: the answers that GitHub got against the content of the database.

    python -m tests.rig.audit LEDGER.json

It runs as a process of its own, on the empty reference database (DATABASE_URL), and folds there, in one go and in an
order of its own, the distinct events that the rig's inbox (RIG_DATABASE_URL) holds. It prints one JSON object.
"""

import json
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg

FOLDED_AT_ONCE = 200
SHOWN = 5
FINISHED = ("processed", "ignored", "quarantined", "dead")


@dataclass
class Audit:
    """The problems, each list empty without any, and the counts of what was compared."""

    acknowledged: int = 0
    distinct: int = 0
    effects: int = 0
    states: dict[str, int] = field(default_factory=dict)
    rows_compared: int = 0
    lost: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)
    unexpected_ends: list[str] = field(default_factory=list)
    leases: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    @property
    def problems(self) -> dict[str, list[str]]:
        return {name: value for name, value in asdict(self).items() if isinstance(value, list) and value}


def audit_deliveries(acknowledged: dict[str, str], *, inbox: "psycopg.Connection[Any]") -> Audit:
    """Compare the ledger, and the fold of the distinct events, with the rig's database."""
    found = Audit(acknowledged=len(acknowledged))
    _look_at_the_inbox(found, acknowledged, inbox=inbox)
    _look_at_the_witness(found, inbox=inbox)
    fold(inbox)
    _compare(found, inbox=inbox)
    return found


def _look_at_the_inbox(found: Audit, acknowledged: dict[str, str], *, inbox: "psycopg.Connection[Any]") -> None:
    rows = inbox.execute(
        "SELECT hook_id || ':' || guid, encode(body_sha256, 'hex'), state, reason, event, lease_until, leased_by "
        "FROM webhooks_delivery"
    ).fetchall()
    kept = {key: digest for key, digest, *_ in rows}
    found.distinct = len(kept)
    found.lost = sorted(acknowledged.keys() - kept.keys())
    found.altered = sorted(key for key, digest in acknowledged.items() if kept.get(key, digest) != digest)
    for key, _, state, reason, event, lease_until, leased_by in rows:
        found.states[state] = found.states.get(state, 0) + 1
        if state not in FINISHED:
            found.unfinished.append(f"{key} {event} is {state} {reason}")
        elif (state, reason) != (("dead", "crashed") if event == "rig_poison" else ("processed", "")):
            found.unexpected_ends.append(f"{key} {event} is {state} {reason}")
        if lease_until is not None or leased_by:
            found.leases.append(f"{key} {event} is leased by {leased_by!r} until {lease_until}")
    count = inbox.execute("SELECT count(*) FROM activity_change").fetchone()
    if count and count[0]:
        found.unfinished.append(f"{count[0]} changes")


def _look_at_the_witness(found: Audit, *, inbox: "psycopg.Connection[Any]") -> None:
    """Check that no delivery took effect twice, except after a replay."""
    rows = inbox.execute(
        "SELECT d.id, d.state, count(*) FILTER (WHERE what = 'effect'), count(*) FILTER (WHERE what = 'rearmed') "
        "FROM webhooks_delivery d LEFT JOIN rig_witness w ON w.delivery_id = d.id GROUP BY d.id, d.state"
    ).fetchall()
    for identity, state, effects, rearmed in rows:
        found.effects += effects
        if effects > 1 + rearmed:
            found.doubled.append(f"delivery {identity}: {effects} effects, {rearmed} times armed again")
        if state == "processed" and not effects:
            found.without_effect.append(f"delivery {identity}")


def fold(inbox: "psycopg.Connection[Any]") -> None:
    """Record the facts of every distinct event in the reference database, and derive what follows from them."""
    from django.db import transaction  # noqa: PLC0415  Django is set up by now

    from apps.activity.facts import Evidence, Source  # noqa: PLC0415
    from apps.activity.record import record  # noqa: PLC0415
    from apps.metrics.recalculation import drain  # noqa: PLC0415

    evidence = [Evidence(source=Source(kind="delivery", key=str(key)), facts=facts) for key, facts in _facts(inbox)]
    random.Random(0).shuffle(evidence)  # noqa: S311  an order that no worker had
    for start in range(0, len(evidence), FOLDED_AT_ONCE):
        with transaction.atomic():
            record(evidence[start : start + FOLDED_AT_ONCE])
    while not drain(seconds=60):
        pass


def _facts(inbox: "psycopg.Connection[Any]") -> Iterator[tuple[int, Any]]:
    from apps.webhooks.parsing import read_document  # noqa: PLC0415  Django is set up by now
    from apps.webhooks.registry import Event, Unrouted, route  # noqa: PLC0415

    rows = inbox.execute(
        "SELECT d.id, d.event, d.hook_id, d.guid, d.received_at, b.content FROM webhooks_delivery d "
        "JOIN webhooks_deliverybody b ON b.delivery_id = d.id "
        "WHERE d.state = 'processed' AND NOT starts_with(d.event, 'rig_')"
    )
    for identity, name, hook_id, guid, received_at, content in rows:
        payload = read_document(content, content_type="application/json").payload
        translator = route(name, payload.get("action"))
        assert not isinstance(translator, Unrouted), (name, payload.get("action"))
        event = Event(
            name=name,
            action=payload.get("action"),
            payload=payload,
            hook_id=hook_id,
            guid=str(guid),
            received_at=received_at,
        )
        yield identity, tuple(translator(event))


def _compare(found: Audit, *, inbox: "psycopg.Connection[Any]") -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as reference:
        for table, columns in compared_tables().items():
            statement = f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608  our own tables
            kept = {repr(row) for row in inbox.execute(statement)}
            folded = {repr(row) for row in reference.execute(statement)}
            found.rows_compared += len(folded)
            found.different += [f"{table} has {row}, not in the fold" for row in sorted(kept - folded)[:SHOWN]]
            found.different += [f"{table} lacks {row} of the fold" for row in sorted(folded - kept)[:SHOWN]]


def compared_tables() -> dict[str, list[str]]:
    """Every table of facts and of derived rows, and the team made for the account; columns but for surrogate ids."""
    from tests.activity.tables import fact_models  # noqa: PLC0415  Django is set up by now
    from tests.metrics.comparing import TABLES  # noqa: PLC0415

    tables = {
        model._meta.db_table: [f'"{field.column}"' for field in model._meta.concrete_fields if field.name != "id"]
        for model in fact_models()
    }
    tables |= {table.model._meta.db_table: list(table.columns) for table in TABLES.values()}
    return tables | {"teams_team": ["name", "slug", "account_id"]}


def main() -> int:
    import django  # noqa: PLC0415  only this process sets it up so

    django.setup()
    acknowledged = json.loads(Path(sys.argv[1]).read_text())
    with psycopg.connect(os.environ["RIG_DATABASE_URL"]) as inbox:
        found = audit_deliveries(acknowledged, inbox=inbox)
    sys.stdout.write(json.dumps(asdict(found)))
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
