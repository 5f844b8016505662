"""The numbers for Prometheus: this process's counters, and how the tables stand."""

import os
from collections.abc import Iterator

from django.db import DatabaseError, connection
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from apps import watchdog
from apps.activity.models import Change
from apps.webhooks.models import Delivery

LONGEST_S = 2.5
WITHOUT_EFFECT = [state for state in Delivery.State.values if state not in ("processed", "ignored")]

# Only what has taken no effect: an index holds exactly these rows, however many were processed.
_STATES = """
SELECT state, count(*), extract(epoch FROM statement_timestamp() - min(received_at))::float8 FROM webhooks_delivery
WHERE NOT state IN ('processed', 'ignored') GROUP BY state
"""
_ROWS = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'webhooks_delivery'::regclass"


class Tables(Collector):
    """How the letterbox and the recalculation stand, asked when scraped."""

    def collect(self) -> Iterator[Metric]:
        """The gauges; only `tformance_database_up` 0 when the database does not answer in time."""
        try:
            with watchdog.limit(seconds=LONGEST_S):
                gauges = [*letterbox(), *recalculation()]
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


def letterbox() -> Iterator[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(_STATES)
        found = {state: (count, age) for state, count, age in cursor.fetchall()}
        cursor.execute(_ROWS)
        rows = cursor.fetchone()[0]
    by_state = GaugeMetricFamily("tformance_deliveries_by_state", "Deliveries without effect yet", labels=["state"])
    for state in WITHOUT_EFFECT:
        by_state.add_metric([state], found.get(state, (0, 0.0))[0])
    yield by_state
    waiting = [found[state][1] for state in Delivery.UNFINISHED if state in found]
    yield gauge("tformance_oldest_waiting_seconds", "Age of the oldest unfinished delivery", max(waiting, default=0.0))
    yield gauge("tformance_delivery_rows", "Rows of the letterbox, by PostgreSQL's estimate", rows)


def recalculation() -> Iterator[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), greatest(extract(epoch FROM statement_timestamp() - min(recorded_at)), 0)::float8 "  # noqa: S608
            f"FROM {Change._meta.db_table}"
        )
        count, age = cursor.fetchone()
    yield gauge("tformance_changes_waiting", "Changes that figures do not follow yet", count)
    yield gauge("tformance_oldest_change_seconds", "Age of the oldest of them", age)


def gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)
