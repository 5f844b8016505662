"""Two kinds of jobs that do nothing but say that they were run."""

import pytest

from apps.jobs import registry
from apps.jobs.models import Job
from apps.jobs.registry import JobKind
from tests.fake_github.using import ACME, BETA
from tests.integrations.backfill.installed import install

READ, LIST = "read", "list"


@pytest.fixture
def ran() -> list[str]:
    """The keys of the jobs that ran, in their order."""
    return []


@pytest.fixture(autouse=True)
def kinds(db: None, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of `read` two are at work at once in an installation, of the more urgent `list` one."""

    def run(job: Job, deadline_s: float) -> None:
        ran.append(job.key)
        job.claim.end(Job.State.DONE)

    monkeypatch.setattr(registry, "_kinds", {})
    monkeypatch.setattr(registry, "_plans", {})
    registry.register(JobKind(name=READ, priority=2, places=2, run=run))
    registry.register(JobKind(name=LIST, priority=0, run=run))
    install(ACME)
    install(BETA, login="beta", account_id=600)
