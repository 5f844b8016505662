"""All fact tables as plain values, so that two histories can be compared, and emptying them fast.

PostgreSQL makes new files for each table it truncates, which costs more than most tests do."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import apps
from django.core.management.commands import flush
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations

MADE_BY_MIGRATE = ("django_content_type", "auth_permission")  # the same for every test
LARGE_BYTES = 8_000_000
LARGE = """
SELECT relname FROM pg_class LEFT JOIN pg_inherits ON inhparent = oid WHERE relname = ANY(%s)
GROUP BY oid, relname HAVING pg_relation_size(oid) + coalesce(sum(pg_relation_size(inhrelid)), 0) > %s
"""
WITHOUT_FOREIGN_KEYS = "SET session_replication_role = replica"
WITH_FOREIGN_KEYS = "SET session_replication_role = DEFAULT"


def statements(tables: Iterable[str]) -> list[str]:
    """Delete every row of the tables, in any order."""
    deletions = (f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables)  # noqa: S608  our own tables
    return [WITHOUT_FOREIGN_KEYS, "; ".join(deletions), WITH_FOREIGN_KEYS]


def empty(tables: Iterable[str]) -> None:
    """Empty the tables now."""
    with connection.cursor() as cursor:
        cursor.execute("; ".join(statements(tables)))


def large(tables: Iterable[str]) -> list[str]:
    """Return those of the tables whose dead rows would slow down the tests to come: nothing vacuums them meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(LARGE, [list(tables), LARGE_BYTES])
        return [name for (name,) in cursor.fetchall()]


def delete_instead_of_truncating() -> None:
    """Have the end of a transactional test do the same; sequences go on, as no test may count on an id.

    A table that has grown large is truncated all the same, with those that refer to it, which end empty too.

    Content types and permissions stay: to make them again costs a quarter of a second.
    """

    def sql_flush(_: Any, __: Any, tables: Sequence[str], **options: Any) -> list[str]:
        emptied = [table for table in tables if table not in MADE_BY_MIGRATE]
        named = ", ".join(map(connection.ops.quote_name, large(emptied)))
        return [*([f"TRUNCATE {named} CASCADE"] if named else []), *statements(emptied)]

    DatabaseOperations.sql_flush = sql_flush  # type: ignore[method-assign]
    flush.emit_post_migrate_signal = lambda *_, **__: None  # type: ignore[attr-defined]


BOOKKEEPING = {"change", "provenance", "coverage"}


def activity_models() -> list[Any]:
    return list(apps.get_app_config("activity").get_models())


def fact_models() -> list[Any]:
    return [
        model for model in apps.get_app_config("activity").get_models() if model._meta.model_name not in BOOKKEEPING
    ]


def contents() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every fact table, without surrogate ids, in a fixed order."""
    found = {}
    for model in fact_models():
        names = [field.attname for field in model._meta.concrete_fields if field.name != "id"]
        found[model.__name__] = sorted(model.objects.values_list(*names), key=repr)
    return found


def clear() -> None:
    """Empty the activity tables."""
    empty(model._meta.db_table for model in activity_models())
