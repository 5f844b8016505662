"""No table has a redundant index, whose columns are the first of another: each index costs every write."""

from collections.abc import Iterable

import pytest
from django.apps import apps
from django.db import connection

# Redundant indexes that are kept, and why.
REASONS = {
    "pull_request_open": "The open are few of many: reconciliation reads no others.",
    "team_sync_unfinished": "The unfinished are few of many: beat looks for them every few seconds.",
    "notification_unread": "The unread are few of many, and are counted for each page.",
}
REDUNDANT = """
WITH index AS (
    SELECT i.indrelid, i.indexrelid, c.relname AS name, c.relam, i.indnkeyatts AS keys, i.indisunique,
        i.indkey::int2[] AS columns, i.indclass::oid[] AS classes, i.indcollation::oid[] AS collations,
        i.indoption::int2[] AS options, pg_get_expr(i.indpred, i.indrelid) AS predicate,
        i.indexprs IS NOT NULL AS has_expressions
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = ANY(%s::regclass[])
)
SELECT DISTINCT short.name FROM index short JOIN index long USING (indrelid, relam)
WHERE short.indexrelid <> long.indexrelid AND short.keys <= long.keys
  AND NOT short.indisunique AND NOT short.has_expressions
  AND (long.predicate IS NULL OR long.predicate = short.predicate)
  AND long.columns[0:short.keys - 1] = short.columns[0:short.keys - 1]
  AND long.classes[0:short.keys - 1] = short.classes[0:short.keys - 1]
  AND long.collations[0:short.keys - 1] = short.collations[0:short.keys - 1]
  AND long.options[0:short.keys - 1] = short.options[0:short.keys - 1]
"""


def redundant(tables: Iterable[str]) -> set[str]:
    """Return the indexes whose columns are the first of another index of their table."""
    with connection.cursor() as cursor:
        cursor.execute(REDUNDANT, [list(tables)])
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.django_db
def test_no_index_is_redundant_without_a_reason() -> None:
    models = [model for model in apps.get_models() if model.__module__.startswith("apps.")]
    assert redundant(model._meta.db_table for model in models) == set(REASONS)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("index", "is_redundant"),
    [
        ("(a)", True),
        ("(a, b)", True),
        ("(b)", False),
        ("(a DESC)", False),
        ("(a) WHERE b > 0", True),
        ("(a, b DESC)", False),
    ],
)
def test_an_index_is_redundant_if_another_begins_with_its_columns(index: str, is_redundant: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE of_indexes (a int, b int, c int)")
        cursor.execute("CREATE INDEX long ON of_indexes (a, b, c)")
        cursor.execute(f"CREATE INDEX short ON of_indexes {index}")
    assert redundant(["of_indexes"]) == ({"short"} if is_redundant else set())
