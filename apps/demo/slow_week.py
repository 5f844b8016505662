"""The week of the sample in which cycle time rises: reviews wait for one person, and a deployment is reverted."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import cycle

from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.shapes.accounts import Account

Opening = Callable[[int], None]

ASSISTED = "Co-authored-by: Copilot <198982749+Copilot@users.noreply.github.com>"
WAITING = (
    "Move the invoices to the new schema",
    "Split the order service",
    "Validate addresses on entry",
    "Read rates from the ledger",
    "Drop the old price table",
    "Show taxes on the receipt",
)
REVERTED = "Retry failed payments"


class SlowWeek:
    """The planned week of a repository; `open_later` opens a pull request at a time, with the next free number."""

    def __init__(
        self,
        repository: RepositoryLife,
        *,
        monday: datetime,
        people: Sequence[Account],
        deployer: Account,
        run_ids: Iterator[int],
        open_later: Callable[[datetime, Opening], None],
    ) -> None:
        self.repository = repository
        self.monday = monday
        *self.authors, self.reviewer = people
        self.deployer = deployer
        self._run_ids = run_ids
        self._open_later = open_later

    def plan(self) -> None:
        for place, (author, title) in enumerate(zip(cycle(self.authors), WAITING, strict=False)):
            opened = self._at(0, 9 + place)
            self._open_later(opened, partial(self._wait, opened, author, title))
        self._deploy(self._at(3, 15, 30))
        opened = self._at(1, 8)
        self._open_later(opened, partial(self._ship_a_mistake, opened))
        self._deploy(self._at(1, 16), state="failure")

    def _at(self, day: int, hour: int, minute: int = 0) -> datetime:
        return self.monday.replace(hour=hour, minute=minute, second=17) + timedelta(days=day)

    def _wait(self, opened: datetime, author: Account, title: str, number: int) -> None:
        """Plan a pull request whose review is asked of somebody who is away until Thursday."""
        work = self._open(opened, number, author=author, title=title)
        work.request_review(opened + timedelta(minutes=2), of=self.reviewer)
        approved = opened + timedelta(days=3)
        work.review(approved, by=self.reviewer, state="approved")
        work.merge(approved + timedelta(minutes=40), by=author)

    def _ship_a_mistake(self, opened: datetime, number: int) -> None:
        """Plan what an assistant wrote with somebody: quickly approved, deployed at noon, and reverted."""
        work = self._open(opened, number, author=self.authors[-1], title=REVERTED, body=ASSISTED)
        work.review(opened + timedelta(hours=1), by=self.authors[0], state="approved")
        work.merge(opened + timedelta(hours=2), by=self.authors[-1])
        self._deploy(opened + timedelta(hours=4))
        noticed = opened + timedelta(hours=5)
        self._open_later(noticed, partial(self._revert, work, noticed))

    def _revert(self, cause: PullRequestLife, opened: datetime, number: int) -> None:
        body = f"Reverts #{cause.number}"
        revert = self._open(opened, number, author=cause.author, title=f"Revert #{cause.number}", body=body)
        revert.review(opened + timedelta(minutes=20), by=self.authors[0], state="approved")
        revert.merge(opened + timedelta(minutes=30), by=cause.author)
        self._deploy(opened + timedelta(hours=1))

    def _open(self, at: datetime, number: int, *, author: Account, title: str, body: str = "") -> PullRequestLife:
        work = PullRequestLife(self.repository, number=number, author=author, title=title, body=body)
        work.push(at - timedelta(hours=1))
        work.open(at, additions=260, deletions=90)
        return work

    def _deploy(self, at: datetime, *, state: str = "success") -> None:
        done = at + timedelta(minutes=6)
        run_id = next(self._run_ids)
        self.repository.deploy(at, to="production", by=self.deployer, finished_at=done, state=state, run_id=run_id)
