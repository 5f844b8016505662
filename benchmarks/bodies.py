"""Deliveries of GitHub's shape, as many as a measurement wants."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from apps.demo.deliveries import body_of
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes import Json
from apps.demo.shapes.accounts import Account
from benchmarks.load import Body, signed

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
OWNER = Account(70_001, "bench-org", "Organization")
PEOPLE = tuple(Account(71_000 + index, f"bench-{index}", "User") for index in range(40))


def mixed_deliveries(*, count: int, repositories: int = 20) -> list[Sent]:
    """The lives of many pull requests in several repositories, interleaved in time as GitHub would send them."""
    scenario = Scenario("bench", owner=OWNER)
    lives = [
        RepositoryLife(scenario, identity=72_000 + index, name=f"service-{index}", created_at=START)
        for index in range(repositories)
    ]
    for index in range(count // 8 + 1):
        _plan_a_life(lives[index % repositories], index)
    return scenario.deliveries()[:count]


def _plan_a_life(repository: RepositoryLife, index: int) -> None:
    at = START + timedelta(minutes=7 * index)
    author, reviewer = PEOPLE[index % len(PEOPLE)], PEOPLE[(index + 7) % len(PEOPLE)]
    life = PullRequestLife(
        repository, number=index + 1, author=author, title=f"Change {index}", branch=f"topic-{index}"
    )
    life.push(at)
    life.open(at + timedelta(minutes=5), is_draft=index % 3 == 0)
    life.request_review(at + timedelta(minutes=6), of=reviewer)
    if index % 3 == 0:
        life.ready(at + timedelta(minutes=30))
    life.review(at + timedelta(hours=2), by=reviewer, state="changes_requested" if index % 2 else "approved")
    life.push(at + timedelta(hours=3))
    life.review(at + timedelta(hours=4), by=reviewer, state="approved")
    life.merge(at + timedelta(hours=5), by=reviewer)


def signed_deliveries(sent: Sequence[Sent], *, secret: str) -> list[Body]:
    return [signed(one.event, body_of(one.payload), secret=secret) for one in sent]


def signed_bodies(*, secret: str, count: int, size: int) -> list[Body]:
    """Pull request payloads, each different, brought to at least this size by their description."""
    opened = [one for one in mixed_deliveries(count=count * 8) if one.event == "pull_request"][:count]
    return [signed(one.event, padded(one.payload, size=size), secret=secret) for one in opened]


def padded(payload: Json, *, size: int) -> bytes:
    missing = size - len(body_of(payload))
    filled = json.loads(json.dumps(payload))
    filled["pull_request"]["body"] = "words " * max(0, missing // 6)
    return body_of(filled)


def mean_size(bodies: Sequence[Body]) -> float:
    """Return how many bytes a body has on average: a real payload may be larger than the size asked for."""
    return sum(len(one.content) for one in bodies) / len(bodies)
