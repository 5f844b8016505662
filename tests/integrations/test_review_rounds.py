"""Review rounds are the same whether webhooks report the pushes or the history of the pull request shows them."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.activity.models import PullRequestCommit, Review
from apps.activity.record import record
from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.accounts import WEB_FLOW, Account
from apps.github.auth import GitHubAccess
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import Stream
from apps.metrics.derivation.review_rounds import Pushes, Seen, review_rounds
from apps.metrics.derivation.timeline import Happening
from apps.metrics.models import DerivedPullRequest
from apps.metrics.recalculation import drain
from tests.activity.tables import clear
from tests.fake_github.generated import BOT, PEOPLE, REVIEW_BOT, Generated, Size, acme
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.integrations.streams.twelve_pull_requests import WITHOUT_GRAPHQL, web
from tests.integrations.test_webhooks_and_graphql import by_webhook

pytestmark = pytest.mark.django_db
ANA, BEN, CY = PEOPLE[:3]
BEGINNING = datetime(2026, 3, 2, 9, tzinfo=UTC)

Step = tuple[float, str, dict[str, Any]]
OPENED: tuple[Step, ...] = ((0, "push", {}), (10, "open", {}))


def asks(minute: float, by: Account = BEN) -> Step:
    return minute, "review", {"by": by, "state": "changes_requested"}


def approves(minute: float, by: Account = BEN) -> Step:
    return minute, "review", {"by": by, "state": "approved"}


def pushes(minute: float, *, committed: float | None = None, **about: Any) -> Step:
    committed_at = None if committed is None else BEGINNING + timedelta(minutes=committed)
    return minute, "push", {"committed_at": committed_at, **about}


def force_pushes(minute: float, **about: Any) -> Step:
    return minute, "force_push", about


STORIES: dict[str, tuple[int, tuple[Step, ...]]] = {
    "nobody asked": (0, (pushes(20), approves(30))),
    "asked, pushed, approved": (1, (asks(20), pushes(30), approves(40))),
    "asked twice before the push": (1, (asks(20), asks(25, CY), pushes(30), pushes(31), approves(40))),
    "two rounds": (2, (asks(20), pushes(30), asks(40), pushes(50), approves(60))),
    "pushed after the approval": (1, (asks(20), pushes(30), approves(40), pushes(50))),
    "never approved": (2, (asks(20), pushes(30), asks(40, CY), pushes(50))),
    "committed before the review, pushed after it": (1, (asks(20), pushes(30, committed=15), approves(40))),
    "a whole day's work pushed at once": (1, (asks(20), pushes(30, committed=5), pushes(31, committed=25), asks(40))),
    "rebased after the review": (1, (pushes(15), asks(20), force_pushes(30), approves(40))),
    "rebased long after two rounds": (2, (asks(20), pushes(30), asks(40), pushes(50), approves(60), force_pushes(70))),
    "squashed between two reviews": (2, (asks(20), pushes(30), force_pushes(35, keeping=1), asks(40), pushes(50))),
    "somebody else pushed": (0, (asks(20), pushes(30, by=CY), approves(40))),
    "somebody else, then the author": (1, (asks(20), pushes(30, by=CY), pushes(35), approves(40))),
    "somebody else rebased": (0, (pushes(15), asks(20), force_pushes(30, by=CY), approves(40))),
    "the commit of a colleague, pushed by the author": (1, (asks(20), (30, "push", {"by": ANA}), approves(40))),
    "a robot repaired the style": (0, (asks(20), pushes(30, by=BOT), approves(40))),
    "committed on GitHub's pages": (1, (asks(20), pushes(30, committer=WEB_FLOW), approves(40))),
    "somebody else committed on GitHub's pages": (0, (asks(20), pushes(30, by=CY, committer=WEB_FLOW), approves(40))),
    "only a robot asked": (0, (asks(20, REVIEW_BOT), pushes(30), approves(40))),
    "a robot reviewed between": (1, (asks(20), (25, "review", {"by": REVIEW_BOT, "state": "commented"}), pushes(30))),
    "the author answered": (1, (asks(20), (25, "review", {"by": ANA, "state": "commented"}), pushes(30), approves(40))),
    "closed and opened again": (1, (asks(20), (25, "close", {}), (30, "reopen", {}), pushes(35), approves(40))),
    "more commits than a page holds": (1, (asks(20), *(pushes(30 + place / 10) for place in range(60)), approves(40))),
}


def deliveries_of(*stories: tuple[Step, ...]) -> list[Sent]:
    """The deliveries of a repository with one pull request for each scenario."""
    scenario = Scenario("rounds", owner=acme(), installation_id=ACME, first_id=WEB * 100_000_000)
    place = RepositoryLife(scenario, identity=WEB, name="web", created_at=BEGINNING - timedelta(days=1))
    place.create(BEGINNING - timedelta(hours=1), by=BEN)
    for number, steps in enumerate(stories, start=1):
        life = PullRequestLife(place, number=number, author=ANA, title=f"Change {number}", branch=f"change-{number}")
        for minute, verb, about in (*OPENED, *steps):
            getattr(life, verb)(BEGINNING + timedelta(minutes=minute), **about)
    return scenario.deliveries()


def rounds() -> dict[int, int | None]:
    assert drain(seconds=60)
    return dict(DerivedPullRequest.objects.values_list("number", "review_rounds"))


def read(worker: GitHubAccess, stream: Stream = PULL_REQUESTS) -> None:
    assert web(worker, stream=stream, size=25).patiently().skipped == []


def mixtures(
    deliveries: list[Sent], worker: GitHubAccess, *, found: Callable[[], dict[int, Any]] = rounds
) -> Iterator[dict[int, Any]]:
    """What is found, such as rounds, of webhooks alone, of the history alone, and of both in any order."""
    record(by_webhook(deliveries))
    yield found()
    for stream in (PULL_REQUESTS, WITHOUT_GRAPHQL):
        clear()
        read(worker, stream)
        yield found()
        record(by_webhook(deliveries))
        yield found()
    for seed in range(2):
        chance = random.Random(seed)  # noqa: S311  an order, not a secret
        half = chance.sample(deliveries, k=len(deliveries) // 2)
        clear()
        record(by_webhook(half[::2]))
        read(worker)
        record(by_webhook(half[1::2]))
        yield found()


@pytest.mark.proof
def test_webhooks_and_graphql_and_every_mixture_come_to_the_same_rounds(fake: FakeGitHub, worker: GitHubAccess) -> None:
    deliveries = deliveries_of(*(steps for _, steps in STORIES.values()))
    fake.world.fold(deliveries, installation_id=ACME)
    expected = {name: count for name, (count, _) in STORIES.items()}
    for found in mixtures(deliveries, worker):
        assert dict(zip(STORIES, (found[number] for number in range(1, len(STORIES) + 1)), strict=True)) == expected


@pytest.mark.proof
def test_many_pull_requests_have_the_same_rounds_by_webhooks_and_by_graphql(
    fake: FakeGitHub, worker: GitHubAccess
) -> None:
    truth = fake.world.add("web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=60), seed=4)
    assert isinstance(truth.pull_requests, Generated)
    read(worker)
    by_history = rounds()
    clear()
    record(by_webhook(truth.pull_requests.deliveries()))
    assert by_history == rounds()
    assert set(by_history.values()) >= {0, 1}
    assert None not in by_history.values()


def test_where_only_webhooks_tell_a_review_of_an_earlier_commit_is_no_push() -> None:
    """A reviewer who goes through a pull request commit by commit reviews some that never were the head."""
    opened = Happening(BEGINNING, "head_moved", "b" * 40, is_from_api=False, actor_id=ANA.id)
    pushes = Pushes(opened_at=BEGINNING, author_id=ANA.id, head_sha="b" * 40, history=[opened])
    asked, other = (Seen(BEGINNING + timedelta(minutes=minute), sha * 40) for minute, sha in ((20, "b"), (25, "a")))
    assert review_rounds(pushes, asked=[asked], approved=None, reviews=[asked, other]) == 0


def test_rounds_are_null_while_it_is_unknown_what_was_pushed(fake: FakeGitHub, worker: GitHubAccess) -> None:
    """Webhooks from the middle on, commits read before their places were kept, and a review without its commit."""
    steps = (asks(20), pushes(30), approves(40))
    deliveries = deliveries_of(steps)
    fake.world.fold(deliveries, installation_id=ACME)
    record(by_webhook([sent for sent in deliveries if sent.payload.get("action") not in {"opened", "synchronize"}]))
    assert rounds() == {1: None}
    read(worker)
    assert rounds() == {1: 1}
    for lose in (
        lambda: PullRequestCommit.objects.update(position=None),
        lambda: Review.objects.update(commit_sha=None),
    ):
        clear()
        read(worker)
        lose()
        assert rounds() == {1: None}
