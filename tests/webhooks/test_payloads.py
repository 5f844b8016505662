"""What becomes of each sample payload of `tests/payloads`.

To add one, save a payload from GitHub's "Recent deliveries" as EVENT.ACTION.json, with invented names, and run this
file: it fails and shows the rows that came of the payload, to be saved as EVENT.ACTION.expected.json. An expectation
names every row, and of each row the columns that matter. "arrival" is the time at which the delivery arrived, and of a
stamp only the time of the object is shown.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from difflib import ndiff
from textwrap import fill
from typing import Any

import pytest
from django.db.models import Model

from apps.activity.facts import FACTS, Stamp
from apps.github.payload import write_time
from apps.webhooks.models import Delivery
from apps.webhooks.registry import routes
from tests.activity.tables import fact_models
from tests.github.translation import EXPECTED, FOLDER, Door, names, read, translate
from tests.webhooks.conftest import drain

Rows = dict[str, dict[str, Any]]
KEYS = {kind.merge.model: kind.merge.key for kind in FACTS}


@pytest.mark.django_db
@pytest.mark.parametrize("name", names())
def test_a_payload_becomes_what_its_expectation_says(name: str) -> None:
    event, payload = read(name)
    assert f"{name}.".startswith(f"{event}.{payload['action']}." if "action" in payload else f"{event}.")
    assert Door().post(event, payload).status_code == 202
    drain()
    outcome = outcome_of(Delivery.objects.get())
    expectation = FOLDER / f"{name}{EXPECTED}.json"
    expected = json.loads(expectation.read_bytes()) if expectation.exists() else {}
    if (found := reduced(outcome, to=expected)) != expected:
        difference = "\n".join(ndiff(as_text(expected).splitlines(), as_text(found).splitlines())) if expected else ""
        pytest.fail(f"{difference}\nTo be saved as {expectation.name}:\n{as_text(outcome)}", pytrace=False)


def test_every_route_has_a_payload() -> None:
    samples = {(sample.event, sample.payload.get("action")) for sample in map(read, names())}
    assert sorted(routes() - samples, key=str) == []


def test_every_column_that_events_fill_is_named_by_an_expectation() -> None:
    named = {
        (table, column)
        for path in FOLDER.glob(f"*{EXPECTED}.json")
        for table, rows in json.loads(path.read_bytes()).items()
        if isinstance(rows, dict)
        for row in rows.values()
        for column in row
    }
    assert sorted(set(filled_columns()) - named) == []


def filled_columns() -> Iterator[tuple[str, str]]:
    """Yield table and column of what the facts of the samples hold, keys left out."""
    for event, payload in map(read, names()):
        if (event, payload.get("action")) in routes():
            for merge in {type(fact).merge for fact in translate(event, payload)}:
                yield from ((merge.model.__name__, column) for column in merge.attributes if column not in merge.key)


def outcome_of(delivery: Delivery) -> dict[str, Any]:
    """Return what became of the only delivery: its state, and the rows of each table by their keys."""
    arrival = delivery.received_at
    state = ": ".join(word for word in (delivery.state, delivery.reason, delivery.error) if word)
    tables = {model.__name__: dict(rows_of(model, arrival=arrival)) for model in fact_models()}
    return {"delivery": state} | {name: rows for name, rows in tables.items() if rows}


def rows_of(model: type[Model], *, arrival: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    key = KEYS[model]
    columns = [field.attname for field in model._meta.concrete_fields if field.attname not in {"id", *key}]
    for row in model._default_manager.order_by(*key).values(*key, *columns):
        values = {name: plain(name, row[name], arrival=arrival) for name in columns}
        yield ":".join(str(plain(name, row[name], arrival=arrival)) for name in key), values


def plain(column: str, value: Any, *, arrival: datetime) -> Any:
    """Return a value as JSON has it; of a stamp only the time of the object."""
    if column.endswith("stamp"):
        value = Stamp.moment_of(value)
    if not isinstance(value, datetime):
        return value
    hour = arrival.replace(minute=0, second=0, microsecond=0)
    return {arrival: "arrival", hour: "hour of arrival"}.get(value, write_time(value))


def reduced(outcome: Mapping[str, Any], *, to: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outcome with those columns of each row only that `to` names."""
    return {
        name: rows
        if isinstance(rows, str)
        else {
            key: {column: row[column] for column in row if column in to.get(name, {}).get(key, row)}
            for key, row in rows.items()
        }
        for name, rows in outcome.items()
    }


def as_text(outcome: Mapping[str, Any]) -> str:
    """Return JSON with a row to a paragraph."""
    tables = [f'  "delivery": {json.dumps(outcome["delivery"])}']
    for name, rows in outcome.items():
        if name != "delivery":
            written = ",\n".join(row_text(key, row) for key, row in rows.items())
            tables.append(f'  "{name}": {{\n{written}\n  }}')
    return "{\n" + ",\n".join(tables) + "\n}\n"


def row_text(key: str, row: Mapping[str, Any]) -> str:
    members = (json.dumps({name: value}, ensure_ascii=False)[1:-1] for name, value in row.items())
    unbroken = ", ".join(member.replace(" ", "\0") for member in members)  # lines end between members only
    text = fill(
        f'"{key}":\0{{{unbroken}}}',
        width=116,
        initial_indent=" " * 4,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return text.replace("\0", " ")
