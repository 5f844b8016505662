"""Stories of deployments for tests, and the tables that they end in."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from apps.activity.models import Deployment, DeploymentStatus
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.demo.shapes import moment
from apps.metrics.models import DerivedDeployment
from apps.metrics.rebuild import rebuild
from tests.fake_github.generated import BEGINNING, acme
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import DeploymentTruth, RepositoryTruth
from tests.fake_github.using import ACME
from tests.github.fixture_a import ACTIONS, BEN
from tests.github.translation import payload_of
from tests.integrations.streams.stream_read import rows
from tests.integrations.true_rows import in_order, true_rows

SHIP = 7_100
ABOUT_DEPLOYMENTS = ("deployment", "deployment_status")
OF_RUNS = ("run_id", "run_attempt", "job_id", "job_name")


class Ship:
    """A repository in which nothing happens but deployments; `name` is its name below acme."""

    def __init__(self, *, name: str = "ship", first_id: int = 900_000_000) -> None:
        self._scenario = Scenario(name, owner=acme(), installation_id=ACME, first_id=first_id)
        self.life = RepositoryLife(self._scenario, identity=SHIP, name=name, created_at=BEGINNING)
        self.life.create(BEGINNING, by=BEN)
        self._jobs: dict[str, tuple[int, str, int]] = {}

    def deploy(
        self, at: datetime, *, to: str = "production", state: str = "success", run_id: int | None = None
    ) -> None:
        """A deployment that ends five minutes later."""
        ended = {"finished_at": at + timedelta(minutes=5), "state": state}
        self.life.deploy(at, to=to, by=ACTIONS, run_id=run_id, is_run_in_payload=bool((run_id or 0) % 2), **ended)

    def deploy_by_job(self, at: datetime, job: str, *, run_id: int, attempt: int = 1, state: str = "success") -> None:
        """A deployment by a job of a run, which its statuses link to and its webhooks name."""
        self._jobs[moment(at)] = (5_000_000 + len(self._jobs), job, attempt)
        self.deploy(at, state=state, run_id=run_id)

    def _name_job(self, sent: Sent) -> None:
        payload = sent.payload
        if sent.event != "deployment_status" or payload["deployment"]["created_at"] not in self._jobs:
            return
        job_id, name, attempt = self._jobs[payload["deployment"]["created_at"]]
        status, run = payload["deployment_status"], payload["workflow_run"]
        status["log_url"] = status["target_url"] = f"{status['log_url'].rpartition('/')[0]}/{job_id}"
        run["run_attempt"] = attempt
        sample = payload_of("deployment_status", "created", "by_a_job")["check_run"]
        payload["check_run"] = {**sample, "id": job_id, "name": name, "html_url": status["log_url"]}

    def happens_on(self, fake: FakeGitHub) -> tuple[RepositoryTruth, list[Sent]]:
        """The story is true on the fake; its deliveries."""
        sent = self._scenario.deliveries()
        for one in sent:
            self._name_job(one)
        return fake.world.fold(sent, installation_id=ACME), sent


def a_busy_month(count: int = 40) -> Ship:
    """Deployments to three environments, some made by runs, some failed, some of the same second."""
    ship = Ship()
    for number in range(count):
        at = BEGINNING + timedelta(hours=7 * (number - number % 5 // 4))
        to = ("production", "staging", "preview")[number % 3]
        run_id = 8_000 + number // 2 if number % 4 else None
        ship.deploy(at, to=to, state="failure" if number % 6 == 1 else "success", run_id=run_id)
    return ship


def statuses_of(deployment: DeploymentTruth, *, count: int) -> None:
    """Let a deployment report often; the first report is a success, all others are of progress."""
    first = deployment.statuses[-1]
    deployment.statuses[:] = [
        {**first, "id": first["id"] * 1000 + place, "state": "in_progress" if place else "success"}
        for place in range(count)
    ]


def about_deployments(sent: Iterable[Sent]) -> list[Sent]:
    return [one for one in sent if one.event in ABOUT_DEPLOYMENTS]


def tables() -> dict[str, Any]:
    """Every deployment and status, and what is derived of them, from webhooks or the API."""
    rebuild([SHIP], progress=lambda *_: None)
    return {model: rows(model) for model in (Deployment, DeploymentStatus, DerivedDeployment)}


def only_ours_of(truth: RepositoryTruth, ids: Iterable[int] | None = None) -> bool:
    """Return whether the rows of these deployments, or of all, are as on GitHub, each with all its statuses."""
    wanted = set(truth.deployments if ids is None else ids)
    statuses = [row for row in true_rows(DeploymentStatus, truth) if row["deployment_id"] in wanted]
    deployments = [row for row in true_rows(Deployment, truth) if row["github_id"] in wanted]
    ours = in_order({name: value for name, value in row.items() if name not in OF_RUNS} for row in rows(Deployment))
    return (ours, rows(DeploymentStatus)) == (deployments, statuses)
