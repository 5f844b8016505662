"""Statements that workers run again and again are planned once."""

import pytest
from django.db import connection

from apps.common import db

ONES = "SELECT %s::int + 1 FROM activity_repository"


@pytest.mark.django_db
def test_the_server_plans_a_statement_once_for_a_connection() -> None:
    for number in range(3):
        db.run(ONES, [number])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%+ 1 FROM%%'"
        )
        assert [row[0] for row in cursor.fetchall()] == [3]
