"""What was built and shipped: workflow runs, deployments and their statuses."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from apps.activity.facts.evidence import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentState(Snapshot):
    """A request to deploy a commit to an environment."""

    entity: ClassVar[str] = "deployment"

    github_id: int
    repository_id: int
    sha: str
    environment: str
    task: str
    creator_id: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRef(Snapshot):
    """What was asked for: a branch, a tag or a SHA. GraphQL knows it only while it is a branch or a tag that exists."""

    entity: ClassVar[str] = "deployment"

    github_id: int
    repository_id: int
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFlags(Snapshot):
    """What kind of environment it was made to; GraphQL and older servers do not say."""

    entity: ClassVar[str] = "deployment"

    github_id: int
    repository_id: int
    is_production: bool | None
    is_transient: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRun(Snapshot):
    """The workflow run that made a deployment: a re-run makes a new deployment of the same run."""

    entity: ClassVar[str] = "deployment"

    github_id: int
    repository_id: int
    run_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatusState(Snapshot):
    """One report on a deployment; `inactive` never undoes a success."""

    entity: ClassVar[str] = "deployment_status"

    github_id: int
    repository_id: int
    deployment_id: int
    state: str
    environment: str
    creator_id: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRunState(Snapshot):
    """One attempt of a workflow run; its stamp's rank is the order of its status."""

    entity: ClassVar[str] = "workflow_run"

    run_id: int
    attempt: int
    repository_id: int
    workflow_id: int
    name: str
    event: str
    status: str
    conclusion: str | None
    head_branch: str | None
    head_sha: str
    actor_id: int | None
    created_at: datetime
    started_at: datetime | None
    concluded_at: datetime | None
