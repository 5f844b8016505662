"""The way through each stream."""

from collections.abc import Mapping

from apps.integrations.backfill.walking import Walk
from apps.integrations.backfill.walks.commits import Commits
from apps.integrations.backfill.walks.deployments import Deployments
from apps.integrations.backfill.walks.issue_comments import ISSUE_COMMENTS
from apps.integrations.backfill.walks.issues import Issues
from apps.integrations.backfill.walks.pull_requests import PullRequestWalk
from apps.integrations.backfill.walks.releases import Releases
from apps.integrations.backfill.walks.review_comments import REVIEW_COMMENTS
from apps.integrations.backfill.walks.workflow_runs import WorkflowRuns
from apps.integrations.models import Backfill

WALKS: Mapping[str, Walk] = {
    Backfill.Stream.PULL_REQUESTS: PullRequestWalk(),
    Backfill.Stream.ISSUES: Issues(),
    Backfill.Stream.ISSUE_COMMENTS: ISSUE_COMMENTS,
    Backfill.Stream.REVIEW_COMMENTS: REVIEW_COMMENTS,
    Backfill.Stream.COMMITS: Commits(),
    Backfill.Stream.RELEASES: Releases(),
    Backfill.Stream.DEPLOYMENTS: Deployments(),
    Backfill.Stream.WORKFLOW_RUNS: WorkflowRuns(),
}
