"""Evidence and assignees are the same whether webhooks or the history of a pull request show them."""

from datetime import timedelta

import pytest

from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes.accounts import person
from apps.github.auth import GitHubAccess
from apps.metrics.models import DerivedAIEvidence, DerivedPullRequest
from apps.metrics.recalculation import drain
from tests.fake_github.generated import PEOPLE, acme
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB
from tests.integrations.test_review_rounds import BEGINNING, mixtures

pytestmark = pytest.mark.django_db
ANA, BEN, CY = PEOPLE[:3]
COPILOT = person(1_910, "copilot-swe-agent[bot]")
REVIEWER = person(1_911, "coderabbitai[bot]")
TRAILER = "Co-authored-by: Claude <noreply@anthropic.com>"

EXPECTED = {
    1: ("agent", BEN.id, {("authored", "author", COPILOT.login)}),
    2: (
        "human",
        None,
        {
            ("assisted", "trailer", "co-authored-by: Claude <noreply@anthropic.com>"),
            ("reviewed", "reviewer", REVIEWER.login),
        },
    ),
    3: ("agent", CY.id, {("authored", "author", COPILOT.login)}),
}


def deliveries() -> list[Sent]:
    """1 by an agent for ben, 2 by ana with a tool and reviewed by one, 3 by an agent that cy had reviewed."""
    scenario = Scenario("evidence", owner=acme(), installation_id=ACME, first_id=WEB * 100_000_000)
    place = RepositoryLife(scenario, identity=WEB, name="web", created_at=BEGINNING - timedelta(days=1))
    place.create(BEGINNING - timedelta(hours=1), by=BEN)
    first, second, third = (
        PullRequestLife(place, number=number, author=author, title=f"Change {number}", branch=f"change-{number}")
        for number, author in enumerate((COPILOT, ANA, COPILOT), start=1)
    )
    for life in (first, second, third):
        life.push(BEGINNING)
        life.open(BEGINNING + timedelta(minutes=10))
    for minute, account in enumerate((COPILOT, BEN, ANA), start=20):
        first.assign(BEGINNING + timedelta(minutes=minute), to=account, by=BEN)
    second.push(BEGINNING + timedelta(minutes=20), message=f"Sort\n\n{TRAILER}")
    second.review(BEGINNING + timedelta(minutes=30), by=REVIEWER, state="commented")
    third.request_review(BEGINNING + timedelta(minutes=20), of=BEN, by=CY)
    return scenario.deliveries()


def found() -> dict[int, tuple[object, ...]]:
    assert drain(seconds=60)
    pieces = list(DerivedAIEvidence.objects.values_list("number", "kind", "source", "value"))
    rows = DerivedPullRequest.objects.values_list("number", "author_class", "attributed_to")
    return {number: (*row, {tuple(piece) for about, *piece in pieces if about == number}) for number, *row in rows}


def test_webhooks_and_every_reading_of_history_find_the_same(fake: FakeGitHub, worker: GitHubAccess) -> None:
    told = deliveries()
    fake.world.fold(told, installation_id=ACME)
    assert [came for came in mixtures(told, worker, found=found) if came != EXPECTED] == []
