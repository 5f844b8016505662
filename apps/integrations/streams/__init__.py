"""The way through each stream."""

from collections.abc import Mapping

from apps.integrations.models import Backfill
from apps.integrations.reader import Walk
from apps.integrations.streams.commits import Commits
from apps.integrations.streams.deployments import Deployments
from apps.integrations.streams.issue_comments import ISSUE_COMMENTS
from apps.integrations.streams.issues import Issues
from apps.integrations.streams.pull_requests import PullRequestWalk
from apps.integrations.streams.releases import Releases
from apps.integrations.streams.review_comments import REVIEW_COMMENTS
from apps.integrations.streams.workflow_runs import WorkflowRuns

STREAM_READERS: Mapping[str, Walk] = {
    Backfill.Stream.PULL_REQUESTS: PullRequestWalk(),
    Backfill.Stream.ISSUES: Issues(),
    Backfill.Stream.ISSUE_COMMENTS: ISSUE_COMMENTS,
    Backfill.Stream.REVIEW_COMMENTS: REVIEW_COMMENTS,
    Backfill.Stream.COMMITS: Commits(),
    Backfill.Stream.RELEASES: Releases(),
    Backfill.Stream.DEPLOYMENTS: Deployments(),
    Backfill.Stream.WORKFLOW_RUNS: WorkflowRuns(),
}
