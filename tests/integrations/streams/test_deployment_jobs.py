"""The jobs that deployed, by the API: two of one run are two services, however the deployments became known."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from githubkit_schemas.latest import models
from pydantic import TypeAdapter

from apps.activity.models import Deployment
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.integrations.reader import Skipped
from apps.integrations.streams.deployments import DEPLOYMENTS
from apps.metrics.models import DerivedDeployment
from tests.activity.tables import clear
from tests.fake_github import faults
from tests.fake_github.faults import Fault
from tests.fake_github.generated import BEGINNING
from tests.fake_github.server import FakeGitHub
from tests.github.translation import evidence_of
from tests.integrations.streams.deployment_samples import SHIP, Ship, about_deployments, tables
from tests.integrations.streams.stream_read import StreamRead, record_page

pytestmark = pytest.mark.django_db
Reading = Callable[..., StreamRead]
WITHOUT_JOBS = 2  # calls: a page of GraphQL and one of REST
RUN, ALONE = 8_101, 8_001


@pytest.fixture
def reading(worker: GitHubAccess) -> Reading:
    def reading(**asked: Any) -> StreamRead:
        return StreamRead(worker=worker, stream=DEPLOYMENTS, repository_id=SHIP, full_name="acme/ship", **asked)

    return reading


def two_services() -> Ship:
    """Fixture G4, and an earlier run in which `api` alone was deployed."""
    ship, day = Ship(), timedelta(days=1)
    ship.deploy_by_job(BEGINNING, "api", run_id=ALONE)
    for number, (job, state) in enumerate((("api", "success"), ("web", "success"))):
        ship.deploy_by_job(BEGINNING + day + timedelta(minutes=number), job, run_id=RUN, state=state)
    for number, (job, state) in enumerate((("api", "success"), ("web", "failure"))):
        ship.deploy_by_job(BEGINNING + 2 * day + timedelta(minutes=number), job, run_id=RUN, attempt=2, state=state)
    return ship


def services() -> list[tuple[str, bool]]:
    """The service of each deployment, and whether it succeeded."""
    rows = tables()[DerivedDeployment]
    return sorted((row["service"], row["succeeded_at"] is not None) for row in rows)


EXPECTED = [("api", True), ("api", True), ("api", True), ("web", False), ("web", True)]


def test_g4_two_jobs_of_a_run_are_two_services_by_backfill_too(fake: FakeGitHub, reading: Reading) -> None:
    truth, sent = two_services().happens_on(fake)
    TypeAdapter(list[models.Job]).validate_python(list(truth.jobs[RUN].values()))
    hooks = evidence_of(about_deployments(sent))
    record(hooks)
    by_webhook = tables()
    assert services() == EXPECTED
    clear()
    history = reading().to_end()
    assert not history.skipped
    assert tables() == by_webhook
    assert history.calls == WITHOUT_JOBS + 2, "a call for each run"
    for seed in range(5):
        chance = random.Random(seed)  # noqa: S311  an order
        pieces: list[Callable[[], None]] = [lambda page=page: record_page(page) for page in history.pages]
        pieces += [lambda piece=piece: record([piece]) for piece in chance.sample(hooks, k=len(hooks) // 2)]
        chance.shuffle(pieces)
        clear()
        for piece in [*pieces, *pieces[:5]]:
            piece()
        assert tables() == by_webhook, seed


def test_only_runs_that_deployed_several_times_to_an_environment_cost_a_call(
    fake: FakeGitHub, reading: Reading
) -> None:
    ship = Ship()
    for number in range(12):
        ship.deploy_by_job(BEGINNING + timedelta(hours=number), "deploy", run_id=8_001 + 2 * number)
    ship.deploy_by_job(BEGINNING + timedelta(days=2), "deploy", run_id=8_001, attempt=2)
    ship.happens_on(fake)
    assert reading().to_end().calls == WITHOUT_JOBS + 1
    assert Deployment.objects.filter(job_name="deploy").count() == 2
    assert reading().to_end().calls == WITHOUT_JOBS, "what has a name is not asked for again"
    assert {service for service, _ in services()} == {""}


def test_a_run_that_is_gone_is_named_and_the_others_are_read(fake: FakeGitHub, reading: Reading) -> None:
    ship = two_services()
    for number, job in enumerate(("api", "web")):
        ship.deploy_by_job(BEGINNING + timedelta(days=3, minutes=number), job, run_id=8_201)
    truth, _ = ship.happens_on(fake)
    del truth.jobs[8_201]
    assert reading().to_end().skipped == [
        Skipped(what="the names of the jobs of workflow run 8201", why="Not Found"),
    ]
    assert set(services()) == {*EXPECTED, ("", True)}


def test_without_the_permission_deployments_are_read_without_jobs(fake: FakeGitHub, reading: Reading) -> None:
    two_services().happens_on(fake)
    refusal = {"message": "Resource not accessible by integration"}
    fake.spoil(Fault(faults.status(403, refusal), faults.below(f"/repositories/{SHIP}/actions"), times=None))
    history = reading().to_end()
    assert (history.calls, len(history.skipped)) == (WITHOUT_JOBS + 1, 1)
    assert Deployment.objects.count() == 5
    assert {service for service, _ in services()} == {""}


def test_a_long_list_of_jobs_is_read_until_all_are_found(fake: FakeGitHub, reading: Reading) -> None:
    truth, _ = two_services().happens_on(fake)
    [*_, job] = truth.jobs[RUN].values()
    truth.jobs[RUN] |= {9_000_000 + number: {**job, "id": 9_000_000 + number} for number in range(150)}
    assert reading().to_end().calls == WITHOUT_JOBS + 3
    assert services() == EXPECTED
