"""A worker who scans GitHub's delivery log, and a clock."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F

from apps.activity.models import Coverage
from apps.github.auth import GitHubAccess
from apps.integrations.delivery_log import scan_job
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.jobs.registry import SLICE_S
from apps.webhooks.models import Delivery
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.using import Clock

LIST = "/app/hook/deliveries"
MOST_TASKS = 50


@dataclass(slots=True)
class Scanner:
    """One worker; both GitHub's clock and what our rows wait for go by it."""

    access: GitHubAccess
    log: DeliveryLog
    clock: Clock

    def run_task(self, *, seconds: float = SLICE_S) -> DeliveryLogScan | None:
        """One task."""
        return scan_job.scan_now(access=self.access, seconds=seconds)

    def scan(self) -> DeliveryLogScan:
        """Run as many tasks as the scan needs; return the row afterwards."""
        for _ in range(MOST_TASKS):
            row = self.run_task()
            assert row is not None, "another worker scans, or it waits"
            if not row.goes_on:
                return row
        raise AssertionError("it never came to an end")

    def wait(self, **time: float) -> None:
        """Let time pass, here and at GitHub."""
        passed = timedelta(**time)
        self.clock.wind(passed.total_seconds())
        DeliveryLogScan.objects.update(
            not_before=F("not_before") - passed,
            read_due_at=F("read_due_at") - passed,
            lease_until=F("lease_until") - passed,
            planned_at=F("planned_at") - passed,
            started_at=F("started_at") - passed,
            read_at=F("read_at") - passed,
        )
        MissedDelivery.objects.update(not_before=F("not_before") - passed)

    def now(self) -> datetime:
        """By GitHub's clock."""
        return datetime.fromtimestamp(self.clock(), UTC)


def inbox() -> set[str]:
    """The GUIDs that are in the inbox."""
    return {str(guid) for guid in Delivery.objects.values_list("guid", flat=True)}


def missed(**what: Any) -> Counter[tuple[str, str]]:
    """How many missed deliveries there are by state and recovery source."""
    return Counter(MissedDelivery.objects.filter(**what).values_list("state", "recovery_source"))


def covered() -> list[tuple[datetime, datetime]]:
    """The stretches for which the log is covered."""
    return list(Coverage.objects.filter(stream=Coverage.DELIVERIES).order_by("from_at").values_list("from_at", "to_at"))
