"""Which table each class of facts enters, how, and which Change follows."""

from apps.activity import facts, models
from apps.activity.merging import ChangeRule, MergeRule, SnapshotRule, UnionRule
from apps.activity.models import Change

PULL_REQUEST = ChangeRule(Change.Kind.PULL_REQUEST, ("repository_id", "number"))
BRANCH = ChangeRule(Change.Kind.BRANCH, ("repository_id", "ref"))
COMMIT = ChangeRule(Change.Kind.COMMIT, ("repository_id", "sha"))
DEPLOYMENT = ChangeRule(Change.Kind.DEPLOYMENT, ("github_id",))
STATUS = ChangeRule(Change.Kind.DEPLOYMENT, ("deployment_id",))
CONTRIBUTOR = ChangeRule(Change.Kind.CONTRIBUTOR, ("github_id",))
INSTALLATION = ChangeRule(Change.Kind.INSTALLATION, ("github_id",))

ID = ("github_id",)
NUMBERED = ("repository_id", "number")

RULES: dict[type[facts.Fact], MergeRule] = {
    # Accounts come first, then what belongs to them: parents before children, in one order for everybody.
    facts.ContributorProfile: SnapshotRule(
        model=models.Contributor, key=ID, columns=("login", "kind"), change=CONTRIBUTOR
    ),
    facts.RepositoryName: SnapshotRule(model=models.Repository, key=ID, columns=("full_name", "is_private")),
    facts.RepositoryState: SnapshotRule(
        model=models.Repository,
        key=ID,
        columns=(
            "full_name",
            "owner_id",
            "default_branch",
            "is_private",
            "is_archived",
            "is_fork",
            "created_at",
            "pushed_at",
        ),
    ),
    facts.RepositoryDeleted: UnionRule(model=models.Repository, key=ID, earliest=("deleted_at",)),
    facts.InstallationState: SnapshotRule(
        model=models.Installation,
        key=ID,
        columns=("account_id", "app_id", "repository_selection", "permissions", "events", "created_at"),
        change=INSTALLATION,
    ),
    facts.InstallationSuspension: SnapshotRule(
        model=models.Installation,
        key=ID,
        columns=("suspended_at", "is_suspension_verified"),
        stamp="suspension_stamp",
        change=INSTALLATION,
    ),
    facts.InstallationSuspended: UnionRule(model=models.Installation, key=ID, columns=("last_suspended_at",)),
    facts.InstallationDeleted: UnionRule(
        model=models.Installation, key=ID, earliest=("deleted_at",), change=INSTALLATION
    ),
    facts.ListingNeeded: UnionRule(model=models.Installation, key=ID, columns=("needs_listing_at",)),
    facts.ListingDone: UnionRule(model=models.Installation, key=ID, columns=("listed_at",)),
    facts.RepositoryAccessState: SnapshotRule(
        model=models.RepositoryAccess,
        key=("installation_id", "repository_id"),
        columns=("has_access", "is_verified"),
        change=ChangeRule(Change.Kind.INSTALLATION, ("installation_id",)),
    ),
    facts.RepositoryAccessLost: UnionRule(
        model=models.RepositoryAccess, key=("installation_id", "repository_id"), columns=("lost_at",)
    ),
    facts.GitHubTeamState: SnapshotRule(
        model=models.GitHubTeam,
        key=ID,
        columns=("organization_id", "slug", "name", "is_deleted", "is_verified"),
    ),
    facts.GitHubMembershipState: SnapshotRule(
        model=models.GitHubMembership,
        key=("scope", "scope_id", "contributor_id"),
        columns=("is_member", "role", "is_verified"),
    ),
    facts.GitReferenceState: SnapshotRule(
        model=models.GitReference,
        key=("repository_id", "kind", "name"),
        columns=("is_deleted", "is_verified"),
    ),
    facts.PushMade: UnionRule(
        model=models.Push,
        key=("repository_id", "ref", "before_sha", "after_sha"),
        columns=(
            "commit_shas",
            "distinct_shas",
            "is_default_branch",
            "is_forced",
            "is_incomplete",
        ),
        earliest=("pushed_at",),
        change=BRANCH,
    ),
    facts.CommitContent: SnapshotRule(
        model=models.Commit,
        key=("repository_id", "sha"),
        columns=(
            "headline",
            "authored_at",
            "committed_at",
            "author_name",
            "author_email",
            "author_login",
            "is_date_clamped",
        ),
        change=COMMIT,
    ),
    facts.CommitParents: UnionRule(
        model=models.Commit,
        key=("repository_id", "sha"),
        columns=("parent_count", "author_id"),
        change=COMMIT,
    ),
    facts.CommitParentsPresumed: UnionRule(
        model=models.Commit, key=("repository_id", "sha"), columns=("presumed_parent_count",), change=COMMIT
    ),
    facts.CommitLanded: UnionRule(
        model=models.Commit, key=("repository_id", "sha"), earliest=("landed_at",), change=COMMIT
    ),
    facts.CommitInHistory: UnionRule(
        model=models.Commit, key=("repository_id", "sha"), earliest=("presumed_landed_at",), change=COMMIT
    ),
    facts.CommitTrailer: UnionRule(
        model=models.CommitTrailer, key=("repository_id", "sha", "token", "value"), change=COMMIT
    ),
    facts.PullRequestCore: SnapshotRule(
        model=models.PullRequest,
        key=NUMBERED,
        columns=(
            "github_id",
            "title",
            "state",
            "is_draft",
            "author_id",
            "author_association",
            "created_at",
            "updated_at",
            "closed_at",
            "merged_at",
            "merge_sha",
            "base_ref",
            "head_ref",
            "head_sha",
            "is_cross_repository",
        ),
        stamp="core_stamp",
        change=PULL_REQUEST,
    ),
    facts.PullRequestSizes: SnapshotRule(
        model=models.PullRequest,
        key=NUMBERED,
        columns=("additions", "deletions", "changed_files", "commit_count", "merged_by_id"),
        stamp="sizes_stamp",
        change=PULL_REQUEST,
    ),
    facts.PullRequestLabels: SnapshotRule(
        model=models.PullRequest, key=NUMBERED, columns=("labels",), stamp="labels_stamp", change=PULL_REQUEST
    ),
    facts.PullRequestText: SnapshotRule(
        model=models.PullRequest, key=NUMBERED, columns=("body",), stamp="text_stamp", change=PULL_REQUEST
    ),
    facts.PullRequestStack: SnapshotRule(
        model=models.PullRequest,
        key=NUMBERED,
        columns=("stack_id", "stack_number", "stack_size", "stack_position", "stack_base_ref", "stack_base_sha"),
        stamp="stack_stamp",
        change=PULL_REQUEST,
    ),
    facts.PullRequestCommitList: SnapshotRule(
        model=models.PullRequest,
        key=NUMBERED,
        columns=("listed_head_sha", "listed_commit_count"),
        stamp="commit_list_stamp",
        change=PULL_REQUEST,
    ),
    facts.PullRequestHappened: UnionRule(
        model=models.PullRequestEvent,
        key=(*NUMBERED, "kind", "subject", "at", "source"),
        columns=("actor_id",),
        change=PULL_REQUEST,
    ),
    facts.PullRequestCommitted: UnionRule(
        model=models.PullRequestCommit,
        key=(*NUMBERED, "head_sha", "sha"),
        columns=("committed_at", "author_id", "position", "is_by_author"),
        earliest=("authored_at",),
        change=PULL_REQUEST,
    ),
    facts.ReviewSubmitted: SnapshotRule(
        model=models.Review,
        key=ID,
        fixed=NUMBERED,
        columns=("author_id", "submitted_at", "commit_sha"),
        change=PULL_REQUEST,
    ),
    facts.ReviewVerdict: SnapshotRule(
        model=models.Review,
        key=ID,
        fixed=NUMBERED,
        columns=("verdict",),
        stamp="verdict_stamp",
        change=PULL_REQUEST,
    ),
    facts.ReviewDismissed: UnionRule(
        model=models.Review, key=ID, fixed=NUMBERED, earliest=("dismissed_at",), change=PULL_REQUEST
    ),
    facts.ReviewDeleted: UnionRule(
        model=models.Review, key=ID, fixed=NUMBERED, earliest=("deleted_at",), change=PULL_REQUEST
    ),
    facts.ReviewCommentState: SnapshotRule(
        model=models.ReviewComment,
        key=ID,
        fixed=NUMBERED,
        columns=("review_id", "author_id", "created_at"),
        change=PULL_REQUEST,
    ),
    facts.ReviewCommentDeleted: UnionRule(
        model=models.ReviewComment, key=ID, fixed=NUMBERED, earliest=("deleted_at",), change=PULL_REQUEST
    ),
    facts.IssueState: SnapshotRule(
        model=models.Issue,
        key=NUMBERED,
        columns=(
            "github_id",
            "title",
            "state",
            "state_reason",
            "author_id",
            "labels",
            "created_at",
            "updated_at",
            "closed_at",
        ),
    ),
    facts.IssueDeleted: UnionRule(model=models.Issue, key=NUMBERED, earliest=("deleted_at",)),
    facts.IssueCommentState: SnapshotRule(
        model=models.IssueComment,
        key=ID,
        fixed=NUMBERED,
        columns=("is_on_pull_request", "author_id", "created_at"),
    ),
    facts.IssueCommentDeleted: UnionRule(model=models.IssueComment, key=ID, fixed=NUMBERED, earliest=("deleted_at",)),
    facts.DeploymentState: SnapshotRule(
        model=models.Deployment,
        key=ID,
        fixed=("repository_id",),
        columns=(
            "sha",
            "environment",
            "task",
            "creator_id",
            "created_at",
        ),
        change=DEPLOYMENT,
    ),
    facts.DeploymentRef: SnapshotRule(
        model=models.Deployment, key=ID, fixed=("repository_id",), columns=("ref",), stamp="ref_stamp"
    ),
    facts.DeploymentFlags: SnapshotRule(
        model=models.Deployment,
        key=ID,
        fixed=("repository_id",),
        columns=("is_production", "is_transient"),
        stamp="flags_stamp",
        change=DEPLOYMENT,
    ),
    facts.DeploymentRun: SnapshotRule(
        model=models.Deployment,
        key=ID,
        fixed=("repository_id",),
        columns=("run_id",),
        stamp="run_stamp",
        change=DEPLOYMENT,
    ),
    facts.DeploymentStatusState: SnapshotRule(
        model=models.DeploymentStatus,
        key=ID,
        fixed=("repository_id", "deployment_id"),
        columns=("state", "environment", "creator_id", "created_at"),
        change=STATUS,
    ),
    facts.WorkflowRunState: SnapshotRule(
        model=models.WorkflowRun,
        key=("run_id", "attempt"),
        fixed=("repository_id",),
        columns=(
            "workflow_id",
            "name",
            "event",
            "status",
            "conclusion",
            "head_branch",
            "head_sha",
            "actor_id",
            "created_at",
            "started_at",
            "concluded_at",
        ),
    ),
    facts.ReleaseState: SnapshotRule(
        model=models.Release,
        key=ID,
        fixed=("repository_id",),
        columns=("tag_name", "name", "is_draft", "is_prerelease", "author_id", "created_at", "published_at"),
    ),
    facts.ReleaseDeleted: UnionRule(model=models.Release, key=ID, fixed=("repository_id",), earliest=("deleted_at",)),
}
