"""Statements about many repositories at once, which the ORM has no words for."""

from typing import Any

from django.db import connection


def rows(statement: str, **asked: Any) -> list[tuple[Any, ...]]:
    """What the statement returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        return list(cursor.fetchall())


def run(statement: str, **asked: Any) -> None:
    """Run a statement that returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
