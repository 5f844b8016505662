"""Fixture G8 of METRICS.md, the merge queue, with cases beside it: each pull request a case of its own."""

from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from tests.github.fixture_a import ACME, ANA, BEN, DEPENDABOT
from tests.github.translation import at

REPOSITORY_ID = 7_008
DAY = "03-04"


def fixture_g8() -> list[Sent]:
    """Every delivery of the day, in GitHub's order."""
    scenario = Scenario("fixture-g8", owner=ACME)
    api = RepositoryLife(scenario, identity=REPOSITORY_ID, name="api", created_at=at("01-05", "09:00"))
    api.create(at("01-05", "09:00"), by=ANA)
    scenario.install(at("02-20", "09:00"), api.now)
    queue_once(opened(api, 1))
    queue_twice(opened(api, 2))
    merge_beside_the_queue(opened(api, 3))
    leave_the_queue(opened(api, 4))
    pass_at_once(opened(api, 5))
    of_a_bot = opened(api, 6, by_bot=True)
    of_a_bot.enqueue(at(DAY, "10:00"), by=BEN)
    of_a_bot.merge(at(DAY, "11:00"), by=BEN)
    retarget(opened(api, 7))
    return scenario.deliveries()


def opened(api: RepositoryLife, number: int, *, by_bot: bool = False) -> PullRequestLife:
    author = DEPENDABOT if by_bot else ANA
    life = PullRequestLife(api, number=number, author=author, title=f"Change {number}", branch=f"change-{number}")
    life.push(at(DAY, "08:58"))
    life.open(at(DAY, "09:00"))
    return life


def queue_once(life: PullRequestLife) -> None:
    """G8; GitHub takes a pull request out of the queue when it merges it."""
    life.review(at(DAY, "11:00"), by=BEN, state="approved")
    life.enable_auto_merge(at(DAY, "11:05"), by=ANA)
    life.enqueue(at(DAY, "11:10"), by=ANA)
    life.dequeue(at(DAY, "12:40"), by=ANA, reason="MERGE")
    life.merge(at(DAY, "12:40"), by=ANA)


def queue_twice(life: PullRequestLife) -> None:
    """30 minutes until its checks fail, and 45 up to the merge."""
    life.enqueue(at(DAY, "10:00"), by=ANA)
    life.dequeue(at(DAY, "10:30"), by=ANA, reason="CI_FAILURE")
    life.enqueue(at(DAY, "11:00"), by=ANA)
    life.merge(at(DAY, "11:45"), by=ANA)


def merge_beside_the_queue(life: PullRequestLife) -> None:
    life.enable_auto_merge(at(DAY, "10:00"), by=ANA)
    life.disable_auto_merge(at(DAY, "10:10"), by=ANA)
    life.merge(at(DAY, "11:00"), by=ANA)


def leave_the_queue(life: PullRequestLife) -> None:
    life.enqueue(at(DAY, "10:00"), by=ANA)
    life.dequeue(at(DAY, "11:00"), by=BEN)


def pass_at_once(life: PullRequestLife) -> None:
    life.enqueue(at(DAY, "13:00"), by=ANA)
    life.merge(at(DAY, "13:00"), by=ANA)


def retarget(life: PullRequestLife) -> None:
    life.retarget(at(DAY, "09:30"), "release")
    life.enable_auto_merge(at(DAY, "09:40"), by=BEN)
    life.retarget(at(DAY, "10:00"), "main")
    life.merge(at(DAY, "11:00"), by=ANA)
