"""Derived rows, when they changed, and goals.

Derived rows are written by the recalculation alone and may be thrown away and rebuilt at any time. They point at facts
without foreign key constraints: a rebuild must not pay for checks of what it has just read.
"""

from apps.metrics.models.deployments import DerivedDeployment, DerivedRemediation, DerivedShipment
from apps.metrics.models.evidence import DerivedAIEvidence
from apps.metrics.models.fields import RULES_VERSION, current_rules
from apps.metrics.models.goals import LARGEST_TARGET, Goal
from apps.metrics.models.incidents import DerivedFailure, DerivedIncident
from apps.metrics.models.pull_requests import (
    ENDED_AT,
    DerivedClosing,
    DerivedCommit,
    DerivedPullRequest,
    DerivedReview,
    DerivedReviewRequest,
)
from apps.metrics.models.snapshots_and_changes import (
    HourlyFigures,
    RebuildDifference,
    RebuildSample,
    RepositoryFreshness,
    TeamFreshness,
)
from apps.metrics.models.workflow_runs import DerivedWorkflowRun

__all__ = [
    "ENDED_AT",
    "LARGEST_TARGET",
    "RULES_VERSION",
    "DerivedAIEvidence",
    "DerivedClosing",
    "DerivedCommit",
    "DerivedDeployment",
    "DerivedFailure",
    "DerivedIncident",
    "DerivedPullRequest",
    "DerivedRemediation",
    "DerivedReview",
    "DerivedReviewRequest",
    "DerivedShipment",
    "DerivedWorkflowRun",
    "Goal",
    "HourlyFigures",
    "RebuildDifference",
    "RebuildSample",
    "RepositoryFreshness",
    "TeamFreshness",
    "current_rules",
]
