"""Workflow runs, deployments and their statuses; deployments and incidents that were reported over our API."""

from datetime import datetime

from apps.activity.facts.declaration import Earliest, Fact, Key, Lasting, Snapshot, Within, fact
from apps.activity.merging import ChangeKey
from apps.activity.models import Change, Deployment, DeploymentStatus, ReportedDeployment, ReportedIncident, WorkflowRun

DEPLOYMENT = ChangeKey(Change.Kind.DEPLOYMENT, ("github_id",))
WORKFLOW_RUN = ChangeKey(Change.Kind.WORKFLOW_RUN, ("repository_id", "run_id"))
DEPLOYMENT_OF_STATUS = ChangeKey(Change.Kind.DEPLOYMENT, ("deployment_id",))
REPORTED_DEPLOYMENT = ChangeKey(Change.Kind.REPORTED_DEPLOYMENT, ("repository_id", "external_id"))
REPORTED_INCIDENT = ChangeKey(Change.Kind.REPORTED_INCIDENT, ("repository_id", "external_id"))


@fact(Deployment, entity="deployment", change=DEPLOYMENT)
class DeploymentState(Snapshot):
    """A request to deploy a commit to an environment."""

    github_id: Key[int]
    repository_id: Within[int]
    sha: str
    environment: str
    task: str
    creator_id: int | None
    created_at: datetime


@fact(Deployment, entity="deployment", stamp="ref_stamp")
class DeploymentRef(Snapshot):
    """The branch, tag or SHA that was to be deployed. GraphQL knows it only while such a branch or tag exists."""

    github_id: Key[int]
    repository_id: Within[int]
    ref: str


@fact(Deployment, entity="deployment", stamp="flags_stamp", change=DEPLOYMENT)
class DeploymentFlags(Snapshot):
    """The kind of environment that was deployed to; GraphQL and older servers do not show it."""

    github_id: Key[int]
    repository_id: Within[int]
    is_production: bool | None
    is_transient: bool | None


@fact(Deployment, entity="deployment", stamp="run_stamp", change=DEPLOYMENT)
class DeploymentRun(Snapshot):
    """The workflow run that made a deployment: a re-run makes a new deployment of the same run."""

    github_id: Key[int]
    repository_id: Within[int]
    run_id: int


@fact(Deployment, entity="deployment", change=DEPLOYMENT)
class DeploymentJob(Fact):
    """The job that made a deployment, by its id where only a link names it.

    A payload shows the run as it is: the least attempt is the one that deployed.
    """

    github_id: Key[int]
    repository_id: Within[int]
    job_id: int | None
    job_name: str
    run_attempt: Earliest[int | None]


@fact(DeploymentStatus, entity="deployment_status", change=DEPLOYMENT_OF_STATUS)
class DeploymentStatusState(Snapshot):
    """A report on a deployment; `inactive` never undoes a success."""

    github_id: Key[int]
    repository_id: Within[int]
    deployment_id: Within[int]
    state: str
    environment: str
    creator_id: int | None
    created_at: datetime


@fact(WorkflowRun, entity="workflow_run", change=WORKFLOW_RUN)
class WorkflowRunState(Snapshot):
    """An attempt of a workflow run; the rank of its stamp is the order of its status.

    GitHub shows when the run last changed, and some changes follow the end: the first completed state says when it was.
    """

    run_id: Key[int]
    attempt: Key[int]
    repository_id: Within[int]
    workflow_id: int
    name: str
    event: str
    status: str
    conclusion: str | None
    head_branch: str | None
    head_sha: str
    actor_id: Lasting[int | None]
    created_at: datetime
    started_at: datetime | None
    concluded_at: Lasting[datetime | None]


@fact(WorkflowRun, entity="workflow_run", change=WORKFLOW_RUN)
class WorkflowRunInProgress(Fact):
    """The first job of an attempt began to run: its webhook alone says when."""

    run_id: Key[int]
    attempt: Key[int]
    repository_id: Within[int]
    in_progress_at: Earliest[datetime]


@fact(ReportedDeployment, entity="reported_deployment", change=REPORTED_DEPLOYMENT)
class ReportedDeploymentState(Snapshot):
    """How a deployment stood at an instant, by its reporter's own id; the stamp is of the same instant."""

    repository_id: Key[int]
    external_id: Key[str]
    finished_at: Key[datetime]
    state: str
    environment: str
    service: str
    sha: str


@fact(ReportedIncident, entity="reported_incident", change=REPORTED_INCIDENT)
class ReportedIncidentState(Snapshot):
    """An incident by its reporter's own id; the stamp is of the instant at which it was so."""

    repository_id: Key[int]
    external_id: Key[str]
    title: str
    service: str
    opened_at: datetime
    closed_at: datetime | None
    deployment: str
    pull_request: int | None
    updated_at: datetime
