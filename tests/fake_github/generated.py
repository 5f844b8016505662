"""A repository of any size, from a seed: each pull request is generated only when it is read."""

import heapq
import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from apps.demo.issue_life import IssueLife
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes import moment
from apps.demo.shapes.accounts import Account, person
from tests.fake_github.truth import Folding, PullRequestTruth, RepositoryTruth

BEGINNING = datetime(2025, 1, 6, 8, tzinfo=UTC)
APART = timedelta(minutes=10)
IDS_EACH = 500
BLOCK = 100_000_000
"""The ids of one repository. GraphQL's `databaseId` has 31 bits: repositories are numbered from 1 to 20."""
PEOPLE = [person(1_000 + place, name) for place, name in enumerate(("ana", "ben", "cy", "dee", "eve", "fay"))]
BOT = person(1_900, "dependabot[bot]")
REVIEW_BOT = person(1_901, "review-helper[bot]")
LABELS = ("bug", "feature", "chore", "docs")
MANY = 57
"""More reviews or commits than a page of a pull request holds."""

Step = tuple[datetime, str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is in a repository."""

    pull_requests: int = 40
    issues: int = 0
    releases: int = 0
    deployments: int = 0
    runs: int = 0


@dataclass(slots=True)
class Script:
    """What happens to one pull request, step by step; the same seed and number give the same steps."""

    number: int
    chance: random.Random
    author: Account
    at: datetime
    steps: list[Step] = field(default_factory=list)

    def then(self, verb: str, **about: Any) -> None:
        """The next step, half a minute to some hours after the one before."""
        self.at += timedelta(seconds=self.chance.randint(30, 9000))
        self.steps.append((self.at, verb, about))

    @property
    def others(self) -> list[Account]:
        return [account for account in PEOPLE if account != self.author]


def opening(number: int) -> datetime:
    """When a pull request of this number is opened."""
    return BEGINNING + APART * (number + 1)


def script(seed: int, number: int, *, opens_at: datetime | None = None) -> Script:
    """The life of a pull request before it is generated."""
    opens_at = opens_at or opening(number)
    chance = random.Random(seed * 1_000_003 + number)  # noqa: S311  the same life every time
    author = BOT if chance.random() < 0.1 else chance.choice(PEOPLE)
    written = Script(number, chance, author, opens_at - APART)
    for _ in range(MANY if number % 503 == 7 else chance.randint(1, 4)):
        written.at += timedelta(seconds=chance.randint(1, 5))
        written.steps.append((written.at, "push", {}))
    written.at = opens_at
    written.steps.append((written.at, "open", {"is_draft": chance.random() < 0.3, "additions": chance.randint(0, 900)}))
    _work(written)
    _end(written)
    return written


def _work(written: Script) -> None:
    chance = written.chance
    if written.steps[-1][2]["is_draft"]:
        written.then("ready")
    for name in chance.sample(LABELS, chance.randint(0, 3)):
        written.then("label", name=name)
    for reviewer in chance.sample(written.others, chance.randint(0, 2)):
        written.then("request_review", of=reviewer)
        if chance.random() < 0.2:
            written.then("withdraw_request", of=reviewer)
    for _ in range(MANY if written.number % 599 == 11 else chance.randint(0, 3)):
        reviewer = chance.choice([*written.others, REVIEW_BOT])
        state = chance.choice(("approved", "changes_requested", "commented"))
        written.then("review", by=reviewer, state=state)
        if state == "changes_requested" and chance.random() < 0.4:
            written.then("dismiss_review", of=reviewer, by=written.others[0])
    for verb, odds in (("remark", 0.4), ("push", 0.4), ("force_push", 0.2), ("comment", 0.3)):
        if chance.random() < odds:
            written.then(verb, **({"by": chance.choice(written.others)} if verb in {"remark", "comment"} else {}))


def _end(written: Script) -> None:
    chance = written.chance
    if chance.random() < 0.2:
        written.then("close")
        if chance.random() < 0.5:
            return
        written.then("reopen")
    if chance.random() < 0.1:
        written.then("convert_to_draft")
        return
    if chance.random() < 0.8:
        written.then("merge", by=chance.choice(written.others))
        _prepare_merge(written)
    if chance.random() < 0.1:
        written.then("comment", by=chance.choice(written.others))


def _prepare_merge(written: Script) -> None:
    """In the half minute before the merge, by the number: what is drawn by chance stays as it was."""
    by = written.author
    prepared: dict[int, tuple[tuple[str, dict[str, Any]], ...]] = {
        3: (("enqueue", {"by": by}), ("dequeue", {"by": by, "reason": "MERGE"})),
        4: (("retarget", {"name": "release"}), ("retarget", {"name": "main"})),
        5: (
            ("enable_auto_merge", {"by": by}),
            ("disable_auto_merge", {"by": by}),
            ("enable_auto_merge", {"by": by}),
        ),
        6: (("enqueue", {"by": by}), ("dequeue", {"by": by, "reason": "CI_FAILURE"}), ("enqueue", {"by": by})),
    }
    steps = prepared.get(written.number % 10, ())
    merge = written.steps.pop()
    for place, (verb, about) in enumerate(steps):
        written.steps.append((written.at - timedelta(seconds=28 - 8 * place), verb, about))
    written.steps.append(merge)


def live(life: PullRequestLife, written: Script) -> None:
    """Plan all the steps."""
    for at, verb, about in written.steps:
        name = about.pop("name", None)
        getattr(life, verb)(at, *([name] if name else []), **about)


@dataclass(slots=True)
class Generated:
    """The pull requests of a repository that nobody has written down; it is a PullRequests."""

    seed: int
    count: int
    owner: Account
    installation_id: int
    repository_id: int
    name: str
    generated: int = 0
    """How many lives had to be generated so far."""
    _get: Any = None
    _updated: list[tuple[str, int]] = field(default_factory=list)
    _edited: dict[int, PullRequestTruth] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._get = lru_cache(maxsize=1000)(self._fold)

    def get(self, number: int) -> PullRequestTruth | None:
        if not 1 <= number <= self.count:
            return None
        found: PullRequestTruth = self._edited.get(number) or self._get(number)
        return found

    def keep(self, number: int) -> PullRequestTruth:
        """The pull request, which is not made up anew from now on: what is changed in it stays."""
        return self._edited.setdefault(number, self._edited.get(number) or self._get(number))

    def edit(self, number: int, at: datetime, **changes: Any) -> PullRequestTruth:
        """Somebody changes it, and with its time its place in the list."""
        edited = self._edited[number] = self.get(number) or self._fold(number)
        edited.json = {**edited.json, **changes, "updated_at": moment(at)}
        others = [key for key in self.ordered("updated_at") if key[1] != number]
        self._updated = sorted([*others, (moment(at), number)])
        return edited

    def ordered(self, field: str) -> Sequence[tuple[str, int]]:
        if field == "created_at":
            return [(moment(opening(number)), number) for number in range(1, self.count + 1)]
        if not self._updated:
            ends = ((moment(script(self.seed, number).at), number) for number in range(1, self.count + 1))
            self._updated = sorted(ends)
        return self._updated

    def number_of(self, node_id: str) -> int | None:
        """Ids are handed out in blocks, one for each number."""
        return (int(node_id.removeprefix("PR_kwDO")) - self.repository_id * BLOCK) // IDS_EACH

    def deliveries_of(self, number: int) -> list[Sent]:
        """The deliveries of one pull request."""
        sent: list[Sent] = pickle.loads(  # noqa: S301  what this process wrote
            _pickled_deliveries(self.seed, self.owner, self.installation_id, self.repository_id, self.name, number)
        )
        return sent

    def deliveries(self) -> Iterator[Sent]:
        """The deliveries of all, in the order of their times."""
        sent = (self.deliveries_of(number) for number in range(1, self.count + 1))
        return heapq.merge(*sent, key=lambda sent: sent.at)

    def _fold(self, number: int) -> PullRequestTruth:
        self.generated += 1
        folding = Folding()
        folding.fold(self.deliveries_of(number))
        return folding.pull_request(number)


@lru_cache(maxsize=2_000)
def _pickled_deliveries(  # noqa: PLR0917  a cache is keyed by all of them
    seed: int, owner: Account, installation_id: int, repository_id: int, name: str, number: int
) -> bytes:
    """The pickled deliveries: tests ask for the same ones again and again, and each may change what it gets."""
    written = script(seed, number)
    scenario = Scenario(
        f"{seed}:{repository_id}:{number}",
        owner=owner,
        installation_id=installation_id,
        first_id=repository_id * BLOCK + number * IDS_EACH,
    )
    place = RepositoryLife(scenario, identity=repository_id, name=name, created_at=BEGINNING)
    life = PullRequestLife(
        place,
        number=number,
        author=written.author,
        title=f"Change {number}",
        branch=f"change-{number}",
        body="Because." if number % 3 else "",
    )
    live(life, written)
    return pickle.dumps(scenario.deliveries())


def generate(
    *, seed: int, size: Size, owner: Account, installation_id: int, repository_id: int, name: str
) -> tuple[RepositoryTruth, list[Sent]]:
    """A repository of this size, and the deliveries of everything but its pull requests."""
    scenario = Scenario(
        f"{seed}:{repository_id}",
        owner=owner,
        installation_id=installation_id,
        first_id=repository_id * BLOCK + BLOCK // 2,
    )
    place = RepositoryLife(scenario, identity=repository_id, name=name, created_at=BEGINNING)
    place.create(BEGINNING, by=PEOPLE[0])
    _plan_the_rest(place, size=size)
    sent = scenario.deliveries()
    truth = Folding().fold(sent)
    truth.pull_requests = Generated(seed, size.pull_requests, owner, installation_id, repository_id, name)
    return truth, sent


def _plan_the_rest(place: RepositoryLife, *, size: Size) -> None:
    for number in range(size.issues):
        issue = IssueLife(place, number=1_000_000 + number, author=PEOPLE[number % 6], title=f"Trouble {number}")
        at = BEGINNING + APART * (number + 1)
        issue.open(at, "bug")
        issue.comment(at + APART, by=PEOPLE[(number + 1) % 6])
        if number % 2:
            issue.close(at + 2 * APART)
    for number in range(size.releases):
        place.release(BEGINNING + APART * (number + 1), tag=f"v1.{number}", by=PEOPLE[0])
    for number in range(size.deployments):
        at = BEGINNING + APART * (number + 1)
        place.deploy(at, to="production" if number % 2 else "staging", by=PEOPLE[1], finished_at=at + APART / 2)
    for number in range(size.runs):
        at = BEGINNING + APART * (number + 1)
        place.run(at, run_id=place.now.id * BLOCK + BLOCK * 3 // 4 + number, by=PEOPLE[2], finished_at=at + APART / 2)


@cache
def acme() -> Account:
    """The organisation that the generated repositories belong to."""
    return Account(500, "acme", "Organization")
