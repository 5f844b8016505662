"""Deployments, their statuses, the runs that made them, and workflow runs."""

import re
from collections.abc import Iterable, Iterator

from apps.activity.facts import (
    DeploymentFlags,
    DeploymentJob,
    DeploymentRef,
    DeploymentRun,
    DeploymentState,
    DeploymentStatusState,
    Fact,
    WorkflowRunInProgress,
    WorkflowRunState,
)
from apps.github.objects.accounts import account_id, profiles
from apps.github.payload import BIGGEST_ID, LONGEST_NAME, LONGEST_PROSE, PayloadReader

RUN_OF_PAYLOAD = 2
RUN_OF_LINK = 1
"""The rank of a run id: named by GitHub, or read from a link that the deployer wrote. 0 would be a guess by SHA."""

STATUS_ORDER = {"requested": 0, "queued": 0, "waiting": 0, "pending": 0, "in_progress": 1, "completed": 2}
_RUN_LINK = re.compile(r"https://[^/\s]+/[^/\s]+/[^/\s]+/actions/runs/([0-9]{1,19})(?:/job/([0-9]{1,19}))?(?:[/?#]|\Z)")


def deployment_facts(deployment: PayloadReader, *, repository_id: int) -> Iterator[Fact]:
    """Yield a deployment in the field groups that this representation has, and its creator."""
    updated_at = deployment.time("updated_at")
    yield DeploymentState(
        stamp=deployment.stamp(updated_at),
        github_id=deployment.id(),
        repository_id=repository_id,
        sha=deployment.text("sha"),
        environment=deployment.text("environment"),
        task=deployment.text("task"),
        creator_id=account_id(deployment.child_or_none("creator")),
        created_at=deployment.time("created_at"),
    )
    yield from profiles(deployment, "creator", at=updated_at)
    yield from deployment_details(deployment, repository_id=repository_id)


def deployment_details(deployment: PayloadReader, *, repository_id: int) -> Iterator[Fact]:
    """Yield what only REST and webhooks have, apart from the rest, so that a GraphQL answer does not empty it."""
    stamp, github_id = deployment.stamp(deployment.time("updated_at")), deployment.id()
    ref = deployment.text_or_none("ref")
    if ref is not None:
        yield DeploymentRef(stamp=stamp, github_id=github_id, repository_id=repository_id, ref=ref)
    is_production = deployment.flag_or_none("production_environment")
    is_transient = deployment.flag_or_none("transient_environment")
    if is_production is not None or is_transient is not None:
        yield DeploymentFlags(
            stamp=stamp,
            github_id=github_id,
            repository_id=repository_id,
            is_production=is_production,
            is_transient=is_transient,
        )


def deployment_status_facts(status: PayloadReader, *, deployment: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """Yield a status of a deployment, and its creator."""
    updated_at = status.time("updated_at")
    yield DeploymentStatusState(
        stamp=status.stamp(updated_at),
        github_id=status.id(),
        repository_id=repository_id,
        deployment_id=deployment.id(),
        state=status.word("state"),
        environment=status.text_or_none("environment") or deployment.text("environment"),
        creator_id=account_id(status.child_or_none("creator")),
        created_at=status.time("created_at"),
    )
    yield from profiles(status, "creator", at=updated_at)


def reported(status: PayloadReader, *, deployment: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """Yield a status of a deployment, its creator, and the run and job that its links name."""
    yield from deployment_status_facts(status, deployment=deployment, repository_id=repository_id)
    run_id, job_id = run_and_job_of_links(status)
    if run_id is not None:
        yield deployment_run(deployment, repository_id=repository_id, run_id=run_id, rank=RUN_OF_LINK)
    if job_id is not None and status.word("state") != "inactive":  # which is the doing of a later deployment
        yield DeploymentJob(
            github_id=deployment.id(), repository_id=repository_id, job_id=job_id, job_name="", run_attempt=None
        )


def job_facts(job: PayloadReader, *, deployment_ids: Iterable[int], repository_id: int) -> Iterator[Fact]:
    """Yield the name and attempt of the job that made these deployments."""
    for github_id in deployment_ids:
        yield DeploymentJob(
            github_id=github_id,
            repository_id=repository_id,
            job_id=job.id(),
            job_name=job.prose("name", limit=LONGEST_NAME),
            run_attempt=job.count("run_attempt") if "run_attempt" in job else None,
        )


def deployment_run(deployment: PayloadReader, *, repository_id: int, run_id: int, rank: int) -> DeploymentRun:
    """Return the run that made the deployment. It never changes, so the surer source wins and not the later one."""
    return DeploymentRun(
        stamp=deployment.stamp(deployment.time("created_at"), rank=rank),
        github_id=deployment.id(),
        repository_id=repository_id,
        run_id=run_id,
    )


def run_and_job_of_links(status: PayloadReader) -> tuple[int | None, int | None]:
    """Return the ids of the run and the job in a status's links, which are parsed and never followed."""
    for name in ("log_url", "target_url"):
        link = _RUN_LINK.match(status.prose(name, limit=LONGEST_PROSE))
        if link and int(link[1]) <= BIGGEST_ID:
            job_id = int(link[2] or 0)
            return int(link[1]), job_id if 0 < job_id <= BIGGEST_ID else None
    return None, None


def workflow_run_facts(run: PayloadReader, *, repository_id: int) -> Iterator[Fact]:
    """Yield an attempt of a workflow run. Its status ranks before its time, as its deliveries arrive in any order."""
    updated_at, status = run.time("updated_at"), run.word("status")
    yield WorkflowRunState(
        stamp=run.stamp(updated_at, rank=STATUS_ORDER.get(status, 0)),
        run_id=run.id(),
        attempt=attempt_of(run),
        repository_id=repository_id,
        workflow_id=run.id("workflow_id"),
        name=run.prose("name", limit=500),
        event=run.word("event"),
        status=status,
        conclusion=run.word_or_none("conclusion"),
        head_branch=run.text_or_none("head_branch"),
        head_sha=run.text("head_sha"),
        actor_id=account_id(run.child_or_none("actor")),
        created_at=run.time("created_at"),
        started_at=run.time_or_none("run_started_at"),
        concluded_at=updated_at if status == "completed" else None,
    )
    yield from profiles(run, "actor", at=updated_at)


def workflow_run_in_progress(run: PayloadReader, *, repository_id: int) -> WorkflowRunInProgress:
    """Return when the attempt began to run: the webhook shows the run as it was then."""
    return WorkflowRunInProgress(
        run_id=run.id(), attempt=attempt_of(run), repository_id=repository_id, in_progress_at=run.time("updated_at")
    )


def attempt_of(run: PayloadReader) -> int:
    return run.count("run_attempt") if "run_attempt" in run else 1
