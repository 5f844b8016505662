"""Stories of workflow runs for tests, and the rows that they end in."""

from datetime import datetime, timedelta

from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes import moment
from tests.fake_github.generated import BEGINNING, acme
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME
from tests.github.fixture_a import ANA, BEN

BUILD = 7_200
FIRST = BEGINNING + timedelta(hours=1)
SECOND = FIRST + timedelta(hours=9)


def some_weeks(fake: FakeGitHub, *, count: int = 60) -> tuple[RepositoryTruth, list[Sent]]:
    """Runs of all kinds: failed, of one second, run again."""
    scenario = Scenario("build", owner=acme(), installation_id=ACME)
    life = RepositoryLife(scenario, identity=BUILD, name="build", created_at=BEGINNING)
    life.create(BEGINNING, by=ANA)
    for number in range(count):
        at = FIRST + timedelta(hours=9 * (number - number % 4 // 3))
        about = {"run_id": 6_000_000 + number, "by": BEN}
        life.run(
            at, finished_at=at + timedelta(minutes=4), conclusion="failure" if number % 5 == 0 else "success", **about
        )
        if number % 5 == 0:
            again = at + timedelta(minutes=30)
            life.run(again, finished_at=again + timedelta(minutes=4), attempt=2, **about)
    sent = scenario.deliveries()
    return fake.world.fold(sent, installation_id=ACME), [one for one in sent if one.event == "workflow_run"]


def crowd(truth: RepositoryTruth, moments: list[datetime], *, first: int = 7_000_000) -> int:
    """Runs as many as there are moments, each created at its own; how many there are then."""
    (model, *_) = truth.runs.values()
    for number, at in enumerate(moments, start=first):
        times = dict.fromkeys(("created_at", "updated_at", "run_started_at"), moment(at))
        truth.runs[number] = {**model, "id": number, "run_attempt": 1, **times}
    return len(truth.runs)
