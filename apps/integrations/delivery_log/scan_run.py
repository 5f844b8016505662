"""One task's part of a scan: the job that it holds, and GitHub as it may ask it."""

import time
from dataclasses import dataclass

from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import Answer, ResponseKind
from apps.integrations.models import DeliveryLogScan
from apps.integrations.reader import RequestFailedError


@dataclass(slots=True, kw_only=True)
class ScanRun:
    """What one task does of a scan."""

    row: DeliveryLogScan
    access: GitHubAccess
    deadline_s: float
    """Of time.monotonic: no request begins later."""
    calls: int = 0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.deadline_s

    def get(self, path: str) -> Answer:
        """Read what GitHub keeps of the App; RequestFailedError where it does not give it."""
        return self._counted(self.access.get_as_app(path, purpose=self._purpose()))

    def post(self, path: str) -> Answer:
        """Ask GitHub for something; RequestFailedError where it does not do it."""
        return self._counted(self.access.post_as_app(path, purpose=self._purpose()))

    def _purpose(self) -> Purpose:
        return Purpose(priority=Priority.RECONCILIATION, subject=self.row.subject, continues=self.calls > 0)

    def _counted(self, answer: Answer) -> Answer:
        if answer.kind is not ResponseKind.DEFERRED:
            self.calls += 1
        if answer.kind is not ResponseKind.OK:
            raise RequestFailedError(answer)
        return answer
