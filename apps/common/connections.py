"""Health of a worker's database connection, which it keeps from task to task.

By itself Celery closes it around every task; opening one anew costs the server more than the task. Celery imports this
module in its workers (`imports` in tformance/celery_settings.py), where `db_reuse_max` keeps it from closing.
"""

from contextlib import suppress
from typing import Any

from celery.signals import task_prerun
from django.db import DatabaseError, close_old_connections, connection

from apps.common import db

LONGEST_LOOK_S = 3.0


@task_prerun.connect(dispatch_uid="look at the connection")
def check_connection(*, task: Any, **_: Any) -> None:
    """Close a connection that is too old, broken or frozen; the task then opens a new one.

    A task that is applied inside a transaction keeps the connection of that transaction.
    """
    if connection.in_atomic_block:
        if task.request.is_eager:
            return
        _abandon_transaction()
    with suppress(DatabaseError), db.limit(seconds=LONGEST_LOOK_S):
        close_old_connections()
        connection.close_if_health_check_failed()


def _abandon_transaction() -> None:
    """Close a connection whose last task was stopped where it entered or left a transaction.

    A soft limit may raise anywhere. Without this the transaction would hold its locks, and each later task of the
    process would run in it and commit nothing.
    """
    connection.in_atomic_block = False  # else close() leaves it to the end of the block, which never comes
    connection.close()
    connection.connection = None
