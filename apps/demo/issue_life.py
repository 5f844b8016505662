"""The life of an issue."""

from datetime import datetime

from apps.demo.conversation_life import ConversationLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import planned
from apps.demo.shapes.accounts import Account
from apps.demo.shapes.issues import IssueNow, issue, issue_comment


class IssueLife(ConversationLife):
    """An issue in a scenario. Methods with a time are carried out at that time of the scenario."""

    def __init__(self, repository: RepositoryLife, *, number: int, author: Account, title: str, body: str = "") -> None:
        super().__init__(repository, number=number, author=author, title=title, body=body)
        self._now: IssueNow | None = None

    @property
    def now(self) -> IssueNow:
        if self._now is None:
            raise LookupError(f"Issue {self.number} was not opened yet.")
        return self._now

    @planned
    def open(self, at: datetime, *labels: str) -> None:
        self._now = IssueNow(
            id=self.scenario.next_id(),
            number=self.number,
            repository=self.repository.now,
            author=self.author,
            title=self._title,
            created_at=at,
            updated_at=at,
            body=self._body or None,
            labels=list(labels),
        )
        self._send("opened", at, by=self.author)

    @planned
    def comment(self, at: datetime, *, by: Account) -> None:
        self.now.updated_at = at
        said = issue_comment(self.scenario.next_id(), of=self.now, author=by, created_at=at)
        self.repository.send(
            "issue_comment", {"action": "created", "issue": issue(self.now), "comment": said}, at=at, sender=by
        )

    @planned
    def delete(self, at: datetime, *, by: Account) -> None:
        self._send("deleted", at, by=by)

    def _send(self, action: str, at: datetime, *, by: Account, **more: object) -> None:
        self.now.updated_at = at
        payload = {"action": action, "issue": issue(self.now), **more}
        self.repository.send("issues", payload, at=at, sender=by)
