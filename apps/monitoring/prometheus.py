"""Prometheus metrics: the counters of the processes, and gauges read from the tables."""

import os
from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Count, Max, Sum
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from apps.activity.models import Change
from apps.common import db
from apps.integrations.models import DeliveryLogScan, Drift, SyncLog
from apps.metrics.models import RebuildSample
from apps.monitoring.models import StatusCheck
from apps.webhooks import inbox_overview, retention

LONGEST_S = 2.5
DRIFT = ("checked", "missing", "stale", "deleted")


class Tables(Collector):
    """Gauges of the inbox, the recalculation and scheduled work, read when scraped."""

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; only `tformance_database_up` 0 when the database does not answer in time."""
        try:
            with db.limit(seconds=LONGEST_S):
                gauges = [*inbox(), *recalculation(), *rebuild_sample(), *drift(), *scheduled_work()]
        except DatabaseError:
            gauges = []
        yield gauge("tformance_database_up", "Whether the database answered this scrape", float(bool(gauges)))
        yield from gauges


def expose() -> bytes:
    """Return all metrics as text; of all processes on this machine if PROMETHEUS_MULTIPROC_DIR is set."""
    registry = CollectorRegistry()
    registry.register(Tables())
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest(registry) + generate_latest(REGISTRY)
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def scheduled_work() -> Iterator[Metric]:
    """Yield what alerts are for: problems found, and the time since the last reconciliation and log scan."""
    last = StatusCheck.objects.first()
    problems = GaugeMetricFamily("tformance_problem", "Problems found by the last status check", labels=["problem"])
    for problem in last.problems if last else ():
        problems.add_metric([problem], 1)
    yield problems
    runs = SyncLog.objects.filter(cause=SyncLog.Cause.NIGHTLY, status=SyncLog.Status.COMPLETED)
    run_at = runs.aggregate(at=Max("finished_at"))["at"]
    scan_at = DeliveryLogScan.objects.aggregate(at=Max("read_at"))["at"]
    for name, words, at in (
        ("tformance_nightly_run_age_seconds", "Time since the last successful nightly reconciliation ended", run_at),
        ("tformance_log_scan_age_seconds", "Time since the last complete scan of GitHub's log", scan_at),
    ):
        if at is not None:
            yield gauge(name, words, (timezone.now() - at).total_seconds())


def inbox() -> Iterator[Metric]:
    inbox_now = inbox_overview.look()
    by_state = GaugeMetricFamily(
        "tformance_deliveries_by_state", "Deliveries that are not processed or ignored", labels=["state"]
    )
    for state, count in inbox_now.states.items():
        by_state.add_metric([state], count)
    yield by_state
    age = inbox_now.oldest_waiting_s
    yield gauge("tformance_oldest_waiting_seconds", "Age of the oldest unfinished delivery", age)
    lag = "How long the oldest due delivery has been due"
    yield gauge("tformance_delivery_lag_seconds", lag, inbox_now.lag_s)
    rows = "Estimated rows of the inbox"
    yield gauge("tformance_delivery_rows", rows, inbox_overview.estimate_rows())
    behind = "How long the oldest expired body has been due for deletion"
    yield gauge("tformance_retention_behind_seconds", behind, retention.measure_delay_s())


def recalculation() -> Iterator[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), greatest(extract(epoch FROM statement_timestamp() - min(recorded_at)), 0)::float8 "  # noqa: S608
            f"FROM {Change._meta.db_table}"
        )
        count, age = cursor.fetchone()
    yield gauge("tformance_changes_waiting", "Changes whose figures are not recalculated yet", count)
    yield gauge("tformance_oldest_change_seconds", "Age of the oldest such change", age)


def rebuild_sample() -> Iterator[Metric]:
    """Yield what the last finished nightly sample found; nothing before the first."""
    last = RebuildSample.objects.filter(finished_at__isnull=False).annotate(found=Count("differences")).first()
    if last is not None:
        yield gauge("tformance_rebuild_sample_compared", "Entities derived again by the last sample", last.compared)
        yield gauge("tformance_rebuild_sample_differences", "Derived rows that differed in it: 0", last.found)


def drift() -> Iterator[Metric]:
    """Yield the drift of the last finished run; nothing before the first."""
    run = SyncLog.objects.filter(finished_at__isnull=False).order_by("-id").values_list("pk", flat=True).first()
    rows = Drift.objects.filter(repository_sync__sync=run).order_by("stream")
    found: Any = rows.values_list("stream", *(Sum(name) for name in DRIFT)) if run else ()
    text = "Entities checked by the last reconciliation, and those that differed"
    family = GaugeMetricFamily("tformance_drift", text, labels=["stream", "count"])
    for stream, *counts in found:
        for name, count in zip(DRIFT, counts, strict=True):
            family.add_metric([stream, name], count)
    yield family


def gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)
