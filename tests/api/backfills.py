"""The room that tests of backfills over the API share: addresses, and walks as they may be found."""

from typing import Any

from apps.activity.models import Repository
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from tests.api.conftest import API

LIST = "/api/v1/backfills/"
STREAMS = len(STREAM_NAMES)
PULLS = {"repository": "acme/api", "streams": ["pull_requests"]}


def walk(**about: Any) -> Backfill:
    """The walk through the pull requests of acme, as it may be found."""
    [row] = start(Repository.objects.filter(pk=API), scope=Scope(streams=("pull_requests",))).backfills
    if about:
        Backfill.objects.filter(pk=row.pk).update(**about)
        row.refresh_from_db()
    return row


def fail(row: Backfill, reason: str = "unanswered") -> None:
    Backfill.objects.filter(pk=row.pk).end(Backfill.State.FAILED, reason=reason, error="502")
