"""The numbers for Prometheus: this process's counters, and how the tables stand."""

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Max, QuerySet, Sum
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from apps.activity.models import Change
from apps.common import db
from apps.integrations.models import DeliverySweep, Drift, SyncLog
from apps.monitoring.models import StatusCheck
from apps.webhooks import overview, retention

LONGEST_S = 2.5
DRIFT = ("checked", "missing", "stale", "deleted")


class Tables(Collector):
    """How the inbox and the recalculation stand, asked when scraped."""

    def collect(self) -> Iterator[Metric]:
        """The gauges; only `tformance_database_up` 0 when the database does not answer in time."""
        try:
            with db.limit(seconds=LONGEST_S):
                gauges = [*inbox(), *recalculation(), *drift(), *looking_after()]
        except DatabaseError:
            gauges = []
        yield gauge("tformance_database_up", "Whether the database answered this scrape", float(bool(gauges)))
        yield from gauges


def expose() -> bytes:
    """Everything in Prometheus' text format; of all processes on this machine where PROMETHEUS_MULTIPROC_DIR is set."""
    registry = CollectorRegistry()
    registry.register(Tables())
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest(registry) + generate_latest(REGISTRY)
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def looking_after() -> Iterator[Metric]:
    """What somebody may want to be woken for: what the watch found, and how long ago all was compared and swept."""
    last = StatusCheck.objects.first()
    problems = GaugeMetricFamily("tformance_problem", "What the watch found when it last looked", labels=["problem"])
    for problem in last.problems if last else ():
        problems.add_metric([problem], 1)
    yield problems
    nights = SyncLog.objects.filter(cause=SyncLog.Cause.NIGHTLY, status=SyncLog.Status.COMPLETED)
    for name, words, rows in (
        ("tformance_night_age_seconds", "Since the last night that succeeded ended", nights),
        ("tformance_sweep_age_seconds", "Since GitHub's log was last walked whole", DeliverySweep.objects.all()),
    ):
        at = _latest(rows)
        if at is not None:
            yield gauge(name, words, (timezone.now() - at).total_seconds())


def _latest(rows: QuerySet[Any]) -> datetime | None:
    found: datetime | None = rows.aggregate(latest=Max("finished_at"))["latest"]
    return found


def inbox() -> Iterator[Metric]:
    standing = overview.look()
    by_state = GaugeMetricFamily("tformance_deliveries_by_state", "Deliveries without effect yet", labels=["state"])
    for state, count in standing.states.items():
        by_state.add_metric([state], count)
    yield by_state
    age = standing.oldest_waiting_s
    yield gauge("tformance_oldest_waiting_seconds", "Age of the oldest unfinished delivery", age)
    lag = "For how long the delivery that is longest due has been due"
    yield gauge("tformance_delivery_lag_seconds", lag, standing.lag_s)
    rows = "Rows of the inbox, by PostgreSQL's estimate"
    yield gauge("tformance_delivery_rows", rows, overview.estimate_rows())
    behind = "For how long the oldest body that ought to have expired has been due to go"
    yield gauge("tformance_retention_behind_seconds", behind, retention.measure_delay_s())


def recalculation() -> Iterator[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), greatest(extract(epoch FROM statement_timestamp() - min(recorded_at)), 0)::float8 "  # noqa: S608
            f"FROM {Change._meta.db_table}"
        )
        count, age = cursor.fetchone()
    yield gauge("tformance_changes_waiting", "Changes that figures do not follow yet", count)
    yield gauge("tformance_oldest_change_seconds", "Age of the oldest of them", age)


def drift() -> Iterator[Metric]:
    """Of the last run that is over; nothing before there was one."""
    run = SyncLog.objects.filter(finished_at__isnull=False).order_by("-id").values_list("pk", flat=True).first()
    rows = Drift.objects.filter(repository_sync__sync=run).order_by("stream")
    found: Any = rows.values_list("stream", *(Sum(name) for name in DRIFT)) if run else ()
    text = "Entities that the last run of reconciliation looked at, and those that were off"
    family = GaugeMetricFamily("tformance_drift", text, labels=["stream", "count"])
    for stream, *counts in found:
        for name, count in zip(DRIFT, counts, strict=True):
            family.add_metric([stream, name], count)
    yield family


def gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)
