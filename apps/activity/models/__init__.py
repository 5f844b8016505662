"""The tables of facts, written only by record()."""

from apps.activity.models.accounts import (
    Contributor,
    GitHubMembership,
    GitHubTeam,
    GitHubTeamEvent,
    Installation,
    RepositoryAccess,
)
from apps.activity.models.bookkeeping import Change, Coverage, Provenance
from apps.activity.models.deployments import Deployment, DeploymentStatus, WorkflowRun
from apps.activity.models.pull_requests import (
    Issue,
    IssueComment,
    PullRequest,
    PullRequestCommit,
    PullRequestEvent,
    Review,
    ReviewComment,
)
from apps.activity.models.reports import ReportedDeployment, ReportedIncident
from apps.activity.models.repositories import Commit, CommitTrailer, GitReference, Push, Release, Repository

__all__ = [
    "Change",
    "Commit",
    "CommitTrailer",
    "Contributor",
    "Coverage",
    "Deployment",
    "DeploymentStatus",
    "GitHubMembership",
    "GitHubTeam",
    "GitHubTeamEvent",
    "GitReference",
    "Installation",
    "Issue",
    "IssueComment",
    "Provenance",
    "PullRequest",
    "PullRequestCommit",
    "PullRequestEvent",
    "Push",
    "Release",
    "ReportedDeployment",
    "ReportedIncident",
    "Repository",
    "RepositoryAccess",
    "Review",
    "ReviewComment",
    "WorkflowRun",
]
