"""Deployments and the runs that make them: deployment, deployment_status, workflow_run."""

from collections.abc import Iterator

from apps.activity.facts import DeploymentJob, Fact
from apps.github.events.envelope import common_facts, declare_shape, open_payload, repository_id
from apps.github.objects.deployments import (
    RUN_OF_PAYLOAD,
    deployment_facts,
    deployment_run,
    reported,
    workflow_run_facts,
    workflow_run_in_progress,
)
from apps.github.payload import LONGEST_NAME, PayloadReader
from apps.webhooks.registry import Event, translates

declare_shape("deployment", members="deployment workflow workflow_run")
declare_shape("deployment_status", members="deployment deployment_status check_run workflow workflow_run")
declare_shape("workflow_run", members="workflow workflow_run")


@translates("deployment", "created")
def deployment(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    requested = payload.child("deployment")
    yield from common_facts(payload, at=requested.time("updated_at"))
    yield from deployment_facts(requested, repository_id=repository_id(payload))
    yield from run_of_payload(payload)


@translates("deployment_status", "created")
def deployment_status(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    requested, status = payload.child("deployment"), payload.child("deployment_status")
    yield from common_facts(payload, at=status.time("updated_at"))
    yield from deployment_facts(requested, repository_id=repository_id(payload))
    yield from reported(status, deployment=requested, repository_id=repository_id(payload))
    yield from run_of_payload(payload)


def run_of_payload(payload: PayloadReader) -> Iterator[Fact]:
    """Yield the run that made the deployment, if GitHub Actions did."""
    run = payload.child_or_none("workflow_run")
    if run is None:
        return
    requested, repository = payload.child("deployment"), repository_id(payload)
    yield deployment_run(requested, repository_id=repository, run_id=run.id(), rank=RUN_OF_PAYLOAD)
    job = payload.child_or_none("check_run")
    if job is not None:
        yield DeploymentJob(
            github_id=requested.id(),
            repository_id=repository,
            job_id=job.id(),
            job_name=job.prose("name", limit=LONGEST_NAME),
            run_attempt=run.count("run_attempt") if "run_attempt" in run else None,
        )


@translates("workflow_run", "requested", "in_progress", "completed")
def workflow_run(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    run = payload.child("workflow_run")
    yield from common_facts(payload, at=run.time("updated_at"))
    yield from workflow_run_facts(run, repository_id=repository_id(payload))
    if event.action == "in_progress":
        yield workflow_run_in_progress(run, repository_id=repository_id(payload))
