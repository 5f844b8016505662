"""Emptying tables fast: PostgreSQL makes new files for each table it truncates, which costs more than most tests do."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.commands import flush
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations

MADE_BY_MIGRATE = ("django_content_type", "auth_permission")  # the same for every test
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


def delete_instead_of_truncating() -> None:
    """Have the end of a transactional test do the same; sequences go on, as no test may count on an id.

    Content types and permissions stay: to make them again costs a quarter of a second.
    """

    def sql_flush(_: Any, __: Any, tables: Sequence[str], **options: Any) -> list[str]:
        return statements(table for table in tables if table not in MADE_BY_MIGRATE)

    DatabaseOperations.sql_flush = sql_flush  # type: ignore[method-assign]
    flush.emit_post_migrate_signal = lambda *_, **__: None  # type: ignore[attr-defined]
