"""Forgetting old runs."""

import time
from datetime import timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from apps.integrations.models import SyncLog, TeamSync
from apps.integrations.reconciliation.schedule import NIGHTLY

KEPT_FOR = timedelta(days=90)
RUN_S = 5.0
AT_A_TIME = 10


def prune() -> int:
    """Delete the runs that ended 90 days ago, as many as a few seconds allow; how many.

    The last of each team stays, since its streak of failures goes by it, and so does the last night.
    """
    deleted, deadline_s = 0, time.monotonic() + RUN_S
    while time.monotonic() < deadline_s:
        ids = list(_old().order_by("pk").values_list("pk", flat=True)[:AT_A_TIME])
        SyncLog.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
        if len(ids) < AT_A_TIME:
            break
    return deleted


def _old() -> QuerySet[SyncLog]:
    later = TeamSync.objects.filter(team=OuterRef("team"), finished_at__isnull=False, pk__gt=OuterRef("pk"))
    last_of_teams = TeamSync.objects.filter(~Exists(later), sync=OuterRef("pk"), finished_at__isnull=False)
    last_night = SyncLog.objects.filter(scope=NIGHTLY, finished_at__isnull=False).order_by("-pk").values("pk")[:1]
    return SyncLog.objects.filter(~Exists(last_of_teams), finished_at__lt=Now() - KEPT_FOR).exclude(pk__in=last_night)
