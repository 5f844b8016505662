"""What was reported over the API and not by GitHub."""

from datetime import datetime

from apps.activity.facts.declaration import Key, Snapshot, fact
from apps.activity.merging import ChangeKey
from apps.activity.models import Change, ReportedDeployment, ReportedIncident

REPORTED_DEPLOYMENT = ChangeKey(Change.Kind.REPORTED_DEPLOYMENT, ("repository_id", "external_id"))
REPORTED_INCIDENT = ChangeKey(Change.Kind.REPORTED_INCIDENT, ("repository_id", "external_id"))


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
