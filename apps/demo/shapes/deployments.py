"""Workflow runs, deployments and their statuses."""

from dataclasses import dataclass
from datetime import datetime

from apps.demo.shapes import Json, links, moment, node_id
from apps.demo.shapes.accounts import Account, user
from apps.demo.shapes.git import fake_sha, signature
from apps.demo.shapes.repositories import REPOSITORY_LINKS, RepositoryIdentity, repository

WORKFLOW_ID = 88_001
MINIMAL_LINKS = tuple(REPOSITORY_LINKS)


@dataclass(frozen=True, slots=True)
class DeploymentMade:
    """A request to deploy a commit to an environment."""

    id: int
    repository: RepositoryIdentity
    sha: str
    environment: str
    creator: Account
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunNow:
    """The state of an attempt of a workflow run at a point of a scenario."""

    id: int
    repository: RepositoryIdentity
    actor: Account
    name: str
    branch: str
    sha: str
    status: str
    conclusion: str | None
    created_at: datetime
    started_at: datetime
    updated_at: datetime
    attempt: int = 1
    event: str = "push"


def deployment(made: DeploymentMade, *, updated_at: datetime | None = None) -> Json:
    api = f"{made.repository.api}/deployments/{made.id}"
    return {
        "url": api,
        "id": made.id,
        "node_id": node_id("DE", made.id),
        "task": "deploy",
        "original_environment": made.environment,
        "environment": made.environment,
        "description": None,
        "created_at": moment(made.created_at),
        "updated_at": moment(updated_at or made.created_at),
        "statuses_url": f"{api}/statuses",
        "repository_url": made.repository.api,
        "creator": user(made.creator),
        "sha": made.sha,
        "ref": made.repository.default_branch,
        "payload": {},
        "transient_environment": False,
        "production_environment": made.environment == "production",
        "performed_via_github_app": None,
    }


def deployment_status(
    identity: int, *, of: DeploymentMade, state: str, created_at: datetime, log_url: str = ""
) -> Json:
    api = f"{of.repository.api}/deployments/{of.id}"
    return {
        "url": f"{api}/statuses/{identity}",
        "id": identity,
        "node_id": node_id("DES", identity),
        "state": state,
        "creator": user(of.creator),
        "description": "",
        "environment": of.environment,
        "target_url": log_url,
        "created_at": moment(created_at),
        "updated_at": moment(created_at),
        "deployment_url": api,
        "repository_url": of.repository.api,
        "environment_url": "",
        "log_url": log_url,
        "performed_via_github_app": None,
    }


def run_link(of: RepositoryIdentity, run_id: int) -> str:
    """The page of a run, as a status's `log_url` names it."""
    return f"{of.page}/actions/runs/{run_id}/job/{run_id + 1}"


def short_workflow_run(now: RunNow) -> Json:
    """Return the run next to a deployment that it made."""
    api = f"{now.repository.api}/actions/runs/{now.id}"
    return {
        "id": now.id,
        "name": now.name,
        "node_id": node_id("WFR", now.id),
        "head_branch": now.branch,
        "head_sha": now.sha,
        "path": ".github/workflows/build.yml",
        "display_title": now.name,
        "run_number": now.id % 10_000,
        "event": now.event,
        "status": now.status,
        "conclusion": now.conclusion,
        "workflow_id": WORKFLOW_ID,
        "check_suite_id": now.id + 1,
        "check_suite_node_id": node_id("CS", now.id),
        "url": api,
        "html_url": f"{now.repository.page}/actions/runs/{now.id}",
        "pull_requests": [],
        "created_at": moment(now.created_at),
        "updated_at": moment(now.updated_at),
        "actor": user(now.actor),
        "run_attempt": now.attempt,
        "referenced_workflows": [],
        "run_started_at": moment(now.started_at),
        "triggering_actor": user(now.actor),
    }


def workflow_run(now: RunNow) -> Json:
    """The full run, as its own events carry it."""
    of = now.repository
    api = f"{of.api}/actions/runs/{now.id}"
    return {
        **short_workflow_run(now),
        **links(api, {"jobs_url": "/jobs", "logs_url": "/logs", "artifacts_url": "/artifacts"}),
        **links(api, {"cancel_url": "/cancel", "rerun_url": "/rerun"}),
        "check_suite_url": f"{of.api}/check-suites/{now.id + 1}",
        "previous_attempt_url": f"{api}/attempts/{now.attempt - 1}" if now.attempt > 1 else None,
        "workflow_url": f"{of.api}/actions/workflows/{WORKFLOW_ID}",
        "head_commit": head_commit(now),
        "repository": minimal_repository(of),
        "head_repository": minimal_repository(of),
    }


def head_commit(now: RunNow) -> Json:
    people = {
        name: value for name, value in signature(now.actor, at=now.created_at).items() if name in {"name", "email"}
    }
    return {
        "id": now.sha,
        "tree_id": fake_sha("tree", now.sha),
        "message": now.name,
        "timestamp": moment(now.created_at),
        "author": people,
        "committer": people,
    }


def minimal_repository(of: RepositoryIdentity) -> Json:
    """The repository inside a run: identity and links, no times."""
    described = repository(of)
    plain = ("id", "node_id", "name", "full_name", "private", "owner", "html_url", "description", "fork", "url")
    return {name: described[name] for name in (*plain, *MINIMAL_LINKS)}


def workflow(of: RepositoryIdentity, *, name: str, created_at: datetime) -> Json:
    return {
        "id": WORKFLOW_ID,
        "node_id": node_id("W", WORKFLOW_ID),
        "name": name,
        "path": ".github/workflows/build.yml",
        "state": "active",
        "created_at": moment(created_at),
        "updated_at": moment(created_at),
        "url": f"{of.api}/actions/workflows/{WORKFLOW_ID}",
        "html_url": f"{of.page}/blob/main/.github/workflows/build.yml",
        "badge_url": f"{of.page}/workflows/build/badge.svg",
    }
