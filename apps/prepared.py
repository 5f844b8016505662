"""Statements that workers run again and again: prepared on the server, for planning one costs more than running it."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection


class PreparedCursor(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor that sends parameters beside the statement, which the server plans once for a connection.

    Django's own writes them into the text, so that each one is new to the server.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return super().execute(query, params, **{"prepare": True, **options})


def run(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a statement, in the transaction at hand if there is one; errors are Django's."""
    connection.close_if_health_check_failed()  # as Django's own cursors do, outside a transaction
    connection.ensure_connection()
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrap(PreparedCursor(connection.connection)) as cursor:  # type: ignore[arg-type]  # any cursor of the driver
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
