"""One task's part of a sweep: the row under its claim, and GitHub as it may ask it."""

import time
from dataclasses import dataclass
from typing import Any

from apps.github.answers import Answer
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import Kind
from apps.integrations.models import DeliverySweep
from apps.integrations.reader import RequestFailedError


class ClaimLostError(Exception):
    """Another worker sweeps meanwhile; nothing of this one's may be kept."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """What one task has in hand."""

    row: DeliverySweep
    access: GitHubAccess
    deadline_s: float
    """Of time.monotonic: no request begins later."""
    calls: int = 0

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.deadline_s

    def hold(self, **changes: Any) -> None:
        """Change the row under the claim, and lock it for the rest of the transaction. ClaimLostError if it is lost."""
        own = DeliverySweep.objects.filter(pk=self.row.pk).held(claim_number=self.row.claim_number)
        if not own.update(**(changes or {"claim_number": self.row.claim_number})):
            raise ClaimLostError
        for name, value in changes.items():
            setattr(self.row, name, value)

    def get(self, path: str) -> Answer:
        """Read what GitHub keeps of the App; RequestFailedError where it does not give it."""
        return self._counted(self.access.get_as_app(path, purpose=self._purpose()))

    def post(self, path: str) -> Answer:
        """Ask GitHub for something; RequestFailedError where it does not do it."""
        return self._counted(self.access.post_as_app(path, purpose=self._purpose()))

    def _purpose(self) -> Purpose:
        return Purpose(priority=Priority.RECONCILIATION, subject="delivery sweep", goes_on=self.calls > 0)

    def _counted(self, answer: Answer) -> Answer:
        if answer.kind is not Kind.PARKED:
            self.calls += 1
        if answer.kind is not Kind.OK:
            raise RequestFailedError(answer)
        return answer
