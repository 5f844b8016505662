"""Telling the workers which installations are to be asked. Messages are hints: one too many does nothing."""

import re
from collections.abc import Iterable
from functools import partial

from celery import current_app
from django.db.models.functions import Now

from apps.common import db
from apps.github.credentials import has_credentials
from apps.integrations.models import Enrichment
from apps.integrations.outcomes import BUSY
from apps.integrations.refresh.queries import due_installations
from apps.webhooks import wakeups

TASK = "apps.integrations.tasks.enrich_pull_requests"
EXPIRES_S = 10
"""By then the next message is there."""
LONGEST_WAIT_S = 6.0
_SUBJECT = re.compile(r"enrichment (\d+)")


def enqueue_due() -> int:
    """Tell the workers of every installation that is to be asked; how many messages the broker took."""
    if not has_credentials():
        return 0
    with db.limit(seconds=LONGEST_WAIT_S):
        due = due_installations()
    return _send(due)


def wake_next_waiter(subject: str | None) -> int:
    """Tell them of the one that GitHub's budget named as the next, if it is one, and it waits for that."""
    named = _SUBJECT.fullmatch(subject or "")
    if named is None:
        return 0
    installation_id = int(named[1])
    with db.limit(seconds=LONGEST_WAIT_S):
        waiting = Enrichment.objects.filter(pk=installation_id, reason=BUSY, lease_until=None)
        is_told = waiting.update(not_before=Now(), reason="")
    return _send([installation_id] if is_told else [])


def subject_of(installation_id: int) -> str:
    """Under which name an installation's enrichment waits for its turn at GitHub."""
    return f"enrichment {installation_id}"


def _send(installation_ids: Iterable[int]) -> int:
    ids = list(installation_ids)
    if not ids:
        return 0
    return wakeups.send(
        partial(current_app.send_task, TASK, args=[one], expires=EXPIRES_S, retry=False, ignore_result=True)
        for one in ids
    )
