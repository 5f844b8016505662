"""The way through each stream."""

from collections.abc import Mapping

from apps.integrations.backfill.walking import Walk
from apps.integrations.backfill.walks.deployments import Deployments
from apps.integrations.backfill.walks.workflow_runs import WorkflowRuns
from apps.integrations.models import Backfill

WALKS: Mapping[str, Walk] = {
    Backfill.Stream.DEPLOYMENTS: Deployments(),
    Backfill.Stream.WORKFLOW_RUNS: WorkflowRuns(),
}
