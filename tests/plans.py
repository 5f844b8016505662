"""How PostgreSQL would go about the statements of a test."""

from collections.abc import Callable
from typing import Any

from django.db import connection


def explaining(plans: list[str]) -> Callable[..., Any]:
    """Ask for the plan of every statement just before it runs; the planner knows the tables as they are now.

    Without that a plan would hang on whether autovacuum has looked at a table that was filled a moment ago.
    """
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    def explain(execute: Any, statement: str, parameters: Any, many: bool, context: Any) -> Any:
        if statement.lstrip(" \n(").startswith(("SELECT", "WITH", "DELETE", "INSERT", "UPDATE")):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {statement}", parameters)
                plans.append("\n".join(row[0] for row in cursor.fetchall()))
        return execute(statement, parameters, many, context)

    return explain
