"""Two that wait for each other's rows."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection, transaction
from django.utils import timezone

from apps.activity.models import Repository
from apps.jobs.models import Job
from tests.integrations.backfill.installed import backfill
from tests.webhooks.conftest import eventually


@contextmanager
def breaking_off_a_start_of(first: str, last: str, *, repository_id: int) -> Iterator[None]:
    """A start that widens both streams meets somebody who changes them in the other order.

    The start waits first, so it is the one that the database breaks off.
    """
    repository = Repository.objects.get(pk=repository_id)
    late, early = (backfill(repository, stream=stream, since=timezone.now()) for stream in (last, first))
    holds = threading.Event()

    def change_both() -> None:
        with transaction.atomic():
            Job.objects.filter(pk=late.pk).update(advanced_at=timezone.now())
            holds.set()
            eventually(_is_waited_for)
            Job.objects.filter(pk=early.pk).update(advanced_at=timezone.now())
        connection.close()

    with ThreadPoolExecutor(1) as elsewhere:
        changing = elsewhere.submit(change_both)
        holds.wait(10)
        yield
        changing.result()


def _is_waited_for() -> bool:
    """Whether some connection waits for another's transaction to end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")
        return cursor.fetchone() is not None
