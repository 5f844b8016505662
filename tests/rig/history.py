"""What happens on the rig's GitHub: the lives of pull requests, issues and deployments, without end and by one seed."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from apps.demo.issue_life import IssueLife
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.accounts import Account, person

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
OWNER = Account(80_001, "rig-org", "Organization")
PEOPLE = (*(person(81_000 + index, f"rig-{index}") for index in range(12)), person(81_900, "rig-helper[bot]"))
IDS_A_ROUND = 10_000
ROUNDS_A_SEED = 1_000
FIRST_REPOSITORY_ID = 82_000
FIRST_ID = 1_000_000_000
PULL_REQUESTS_A_ROUND = 6


def rounds(*, seed: int) -> Iterator[list[Sent]]:
    """About 100 deliveries each, of one repository, in GitHub's order."""
    chance = random.Random(seed)  # noqa: S311  a seed makes the run repeatable
    number = 0
    while True:
        yield _round(number, seed=seed, chance=chance)
        number += 1


def _round(number: int, *, seed: int, chance: random.Random) -> list[Sent]:
    place = seed % 1000 * ROUNDS_A_SEED + number
    scenario = Scenario(f"rig {seed} {number}", owner=OWNER, first_id=FIRST_ID + place * IDS_A_ROUND)
    at = START + timedelta(days=number)
    life = RepositoryLife(scenario, identity=FIRST_REPOSITORY_ID + place, name=f"service-{place}", created_at=at)
    if number == 0:
        scenario.install(at, life.now)
    life.create(at, by=PEOPLE[0])
    for index in range(PULL_REQUESTS_A_ROUND):
        _pull_request(life, number=index + 1, at=at + timedelta(minutes=chance.randrange(1, 300)), chance=chance)
    _issue(life, number=PULL_REQUESTS_A_ROUND + 1, at=at + timedelta(hours=1), chance=chance)
    deployed = at + timedelta(hours=9)
    outcome = chance.choice(("success", "failure"))
    finished = deployed + timedelta(minutes=5)
    life.deploy(deployed, to="production", by=PEOPLE[1], finished_at=finished, state=outcome)
    return scenario.deliveries()


def _pull_request(life: RepositoryLife, *, number: int, at: datetime, chance: random.Random) -> None:
    author, reviewer, other = chance.sample(PEOPLE, 3)
    one = PullRequestLife(life, number=number, author=author, title=f"Change {number}", branch=f"topic-{number}")
    minutes = iter(range(0, 10_000, chance.randrange(3, 15)))

    def later() -> datetime:
        return at + timedelta(minutes=next(minutes))

    one.push(later())
    is_draft = chance.random() < 0.4
    one.open(later(), is_draft=is_draft)
    one.request_review(later(), of=reviewer)
    one.label(later(), "topic")
    if is_draft:
        one.ready(later())
    one.review(later(), by=reviewer, state=chance.choice(("changes_requested", "commented")))
    one.remark(later(), by=other, is_resolved=chance.random() < 0.5)
    if chance.random() < 0.5:
        one.push(later())
    else:
        one.force_push(later())
    one.comment(later(), by=other)
    one.review(later(), by=reviewer, state="approved")
    if chance.random() < 0.3:
        one.dismiss_review(later(), of=reviewer, by=author)
    if chance.random() < 0.3:
        one.close(later())
        one.reopen(later())
    if chance.random() < 0.8:
        one.merge(later(), by=reviewer)


def _issue(life: RepositoryLife, *, number: int, at: datetime, chance: random.Random) -> None:
    author, other = chance.sample(PEOPLE, 2)
    issue = IssueLife(life, number=number, author=author, title="It broke")
    issue.open(at)
    issue.label(at + timedelta(minutes=5), "incident", by=other)
    issue.comment(at + timedelta(minutes=9), by=other)
