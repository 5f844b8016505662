"""Two that wait for each other's rows."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection, transaction
from django.utils import timezone

from apps.integrations.models import Backfill
from tests.webhooks.conftest import eventually


@contextmanager
def breaking_off_a_start_of(first: str, last: str, *, repository_id: int) -> Iterator[None]:
    """A start that widens both streams meets somebody who changes them in the other order.

    The start waits first, so it is the one that the database breaks off.
    """
    bounded = {"repository_id": repository_id, "page_size": 25, "since": timezone.now()}
    late, early = (Backfill.objects.create(stream=stream, **bounded) for stream in (last, first))
    holds = threading.Event()

    def change_both() -> None:
        with transaction.atomic():
            Backfill.objects.filter(pk=late.pk).update(rung_at=timezone.now())
            holds.set()
            eventually(_is_waited_for)
            Backfill.objects.filter(pk=early.pk).update(rung_at=timezone.now())
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
