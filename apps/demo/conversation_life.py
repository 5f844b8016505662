"""The common part of issues and pull requests: labels, closing and reopening."""

from abc import ABC, abstractmethod
from datetime import datetime

from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, planned
from apps.demo.shapes.accounts import Account
from apps.demo.shapes.issues import IssueNow, label
from apps.demo.shapes.pull_requests import PullRequestNow


class ConversationLife(ABC):
    """An issue or a pull request in a scenario. Methods with a time are carried out at that time of the scenario."""

    def __init__(self, repository: RepositoryLife, *, number: int, author: Account, title: str, body: str) -> None:
        self.repository = repository
        self.number = number
        self.author = author
        self._title = title
        self._body = body

    @property
    def scenario(self) -> Scenario:
        return self.repository.scenario

    @property
    @abstractmethod
    def now(self) -> IssueNow | PullRequestNow:
        """Return its state; LookupError before it is opened."""

    @abstractmethod
    def _send(self, action: str, at: datetime, *, by: Account, **more: object) -> None:
        """Send its event with this action."""

    @planned
    def label(self, at: datetime, name: str, *, by: Account | None = None) -> None:
        self.now.labels.append(name)
        self._send("labeled", at, by=by or self.author, label=label(self.repository.now, name))

    @planned
    def close(self, at: datetime, *, by: Account | None = None) -> None:
        self.now.closed_at = at
        self._send("closed", at, by=by or self.author)

    @planned
    def reopen(self, at: datetime, *, by: Account | None = None) -> None:
        self.now.closed_at = None
        self._send("reopened", at, by=by or self.author)
