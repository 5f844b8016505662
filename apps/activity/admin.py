"""Read-only pages of facts, which only record() writes."""

from django.contrib import admin

from apps.activity import models
from apps.common.admin import ReadOnlyAdmin


@admin.register(models.Contributor)
class ContributorAdmin(ReadOnlyAdmin):
    """GitHub accounts; contributor fields of forms search them."""

    list_display = ("login", "kind", "github_id")
    list_filter = ("kind",)
    search_fields = ("login__icontains",)
    search_ids = ("github_id",)
    ordering = ("login",)


@admin.register(models.Installation)
class InstallationAdmin(ReadOnlyAdmin):
    """Installations of the App."""

    list_display = ("github_id", "account", "repository_selection", "suspended_at", "deleted_at", "listed_at")
    list_select_related = ("account",)
    list_filter = (("suspended_at", admin.EmptyFieldListFilter), ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("account__login__icontains",)
    search_ids = ("github_id", "account")
    ordering = ("-github_id",)


@admin.register(models.RepositoryAccess)
class RepositoryAccessAdmin(ReadOnlyAdmin):
    """Access of installations to repositories."""

    list_display = ("repository", "installation", "has_access", "is_verified")
    list_select_related = ("repository", "installation")
    list_filter = ("has_access", "is_verified")
    search_fields = ("repository__full_name__istartswith",)
    search_ids = ("installation", "repository")
    ordering = ("-id",)


@admin.register(models.GitHubTeam)
class GitHubTeamAdmin(ReadOnlyAdmin):
    """Teams on GitHub."""

    list_display = ("name", "slug", "organization", "is_deleted", "is_verified")
    list_select_related = ("organization",)
    list_filter = ("is_deleted", "is_verified")
    search_fields = ("slug__icontains", "name__icontains", "organization__login__iexact")
    search_ids = ("github_id",)
    ordering = ("slug",)


@admin.register(models.GitHubMembership)
class GitHubMembershipAdmin(ReadOnlyAdmin):
    """Members of organisations, teams and repositories on GitHub."""

    list_display = ("contributor", "scope", "scope_id", "is_member", "role", "is_verified")
    list_select_related = ("contributor",)
    list_filter = ("scope", "is_member", "is_verified")
    search_fields = ("contributor__login__iexact",)
    search_ids = ("scope_id", "contributor")
    ordering = ("-id",)


@admin.register(models.GitHubTeamEvent)
class GitHubTeamEventAdmin(ReadOnlyAdmin):
    """Who joined or left a team on GitHub, and when GitHub reported it."""

    list_display = ("at", "team_id", "contributor", "is_member")
    list_select_related = ("contributor",)
    list_filter = ("is_member",)
    search_fields = ("contributor__login__iexact",)
    search_ids = ("team_id", "contributor")
    ordering = ("-id",)


@admin.register(models.Repository)
class RepositoryAdmin(ReadOnlyAdmin):
    """Repositories; repository fields of forms search them."""

    list_display = ("full_name", "github_id", "default_branch", "is_private", "is_archived", "deleted_at")
    list_filter = ("is_private", "is_archived", "is_fork", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("full_name__icontains",)
    search_ids = ("github_id", "owner")
    ordering = ("full_name",)


@admin.register(models.GitReference)
class GitReferenceAdmin(ReadOnlyAdmin):
    """Branches and tags."""

    list_display = ("name", "kind", "repository", "is_deleted", "is_verified")
    list_select_related = ("repository",)
    list_filter = ("kind", "is_deleted")
    search_fields = ("name__istartswith", "repository__full_name__iexact")
    search_ids = ("repository",)
    ordering = ("-id",)


@admin.register(models.Push)
class PushAdmin(ReadOnlyAdmin):
    """Pushes to branches and tags."""

    list_display = ("ref", "repository", "before_sha", "after_sha", "pushed_at")
    list_select_related = ("repository",)
    search_fields = ("after_sha", "before_sha", "repository__full_name__iexact")
    search_ids = ("repository",)
    ordering = ("-id",)


@admin.register(models.Commit)
class CommitAdmin(ReadOnlyAdmin):
    """Commits, with the known or presumed time at which they reached the default branch."""

    list_display = ("sha", "headline", "repository", "author", "landed_at", "presumed_landed_at")
    list_select_related = ("repository", "author")
    list_filter = (
        ("landed_at", admin.EmptyFieldListFilter),
        ("presumed_landed_at", admin.EmptyFieldListFilter),
        "is_date_clamped",
    )
    search_fields = ("sha__istartswith", "author__login__iexact", "repository__full_name__iexact")
    ordering = ("-id",)


@admin.register(models.CommitTrailer)
class CommitTrailerAdmin(ReadOnlyAdmin):
    """Trailers of commit messages, such as co-authors."""

    list_display = ("sha", "token", "value", "repository")
    list_select_related = ("repository",)
    search_fields = ("sha__istartswith", "repository__full_name__iexact")
    ordering = ("-id",)


@admin.register(models.Release)
class ReleaseAdmin(ReadOnlyAdmin):
    """Releases."""

    list_display = ("tag_name", "name", "repository", "author", "published_at", "deleted_at")
    list_select_related = ("repository", "author")
    list_filter = ("is_draft", "is_prerelease")
    search_fields = ("tag_name__istartswith", "repository__full_name__iexact")
    search_ids = ("github_id", "repository")
    ordering = ("-github_id",)


@admin.register(models.PullRequest)
class PullRequestAdmin(ReadOnlyAdmin):
    """Pull requests; search by owner/name#12, #12, an id, a login or a commit."""

    list_display = ("title", "repository", "number", "state", "is_draft", "author", "created_at", "merged_at")
    list_select_related = ("repository", "author")
    list_filter = ("state", "is_draft", ("merged_at", admin.EmptyFieldListFilter))
    search_fields = ("repository__full_name__iexact", "author__login__iexact", "head_sha", "merge_sha")
    search_ids = ("github_id", "number")
    search_number = "number"
    ordering = ("-id",)


@admin.register(models.PullRequestEvent)
class PullRequestEventAdmin(ReadOnlyAdmin):
    """The histories of pull requests."""

    list_display = ("kind", "repository", "number", "subject", "reason", "actor", "at", "source")
    list_select_related = ("repository", "actor")
    list_filter = ("kind", "source")
    search_fields = ("repository__full_name__iexact", "actor__login__iexact")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(models.PullRequestCommit)
class PullRequestCommitAdmin(ReadOnlyAdmin):
    """Commits of pull requests by head."""

    list_display = ("sha", "repository", "number", "head_sha", "author", "authored_at")
    list_select_related = ("repository", "author")
    search_fields = ("sha", "head_sha", "repository__full_name__iexact")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(models.Review)
class ReviewAdmin(ReadOnlyAdmin):
    """Submitted reviews."""

    list_display = ("github_id", "repository", "number", "author", "verdict", "submitted_at", "dismissed_at")
    list_select_related = ("repository", "author")
    list_filter = ("verdict", ("dismissed_at", admin.EmptyFieldListFilter))
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("github_id", "number")
    search_number = "number"
    ordering = ("-github_id",)


@admin.register(models.ReviewComment)
class ReviewCommentAdmin(ReadOnlyAdmin):
    """Comments on lines of a diff."""

    list_display = ("github_id", "repository", "number", "author", "created_at", "deleted_at")
    list_select_related = ("repository", "author")
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("github_id", "number", "review_id")
    search_number = "number"
    ordering = ("-github_id",)


@admin.register(models.Issue)
class IssueAdmin(ReadOnlyAdmin):
    """Issues."""

    list_display = ("title", "repository", "number", "state", "author", "created_at", "closed_at")
    list_select_related = ("repository", "author")
    list_filter = ("state",)
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("github_id", "number")
    search_number = "number"
    ordering = ("-id",)


@admin.register(models.IssueComment)
class IssueCommentAdmin(ReadOnlyAdmin):
    """Comments on issues and pull requests."""

    list_display = ("github_id", "repository", "number", "is_on_pull_request", "author", "created_at", "deleted_at")
    list_select_related = ("repository", "author")
    list_filter = ("is_on_pull_request",)
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("github_id", "number")
    search_number = "number"
    ordering = ("-github_id",)


@admin.register(models.Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    """Deployments; search by id, run, commit or environment."""

    list_display = ("github_id", "repository", "environment", "sha", "run_id", "creator", "created_at")
    list_select_related = ("repository", "creator")
    list_filter = ("is_production", "is_transient")
    search_fields = ("environment", "sha", "repository__full_name__iexact")
    search_ids = ("github_id", "run_id")
    ordering = ("-github_id",)


@admin.register(models.DeploymentStatus)
class DeploymentStatusAdmin(ReadOnlyAdmin):
    """Reports on deployments."""

    list_display = ("github_id", "deployment_id", "repository", "state", "environment", "created_at")
    list_select_related = ("repository",)
    list_filter = ("state",)
    search_fields = ("environment", "repository__full_name__iexact")
    search_ids = ("github_id", "deployment_id")
    ordering = ("-github_id",)


@admin.register(models.WorkflowRun)
class WorkflowRunAdmin(ReadOnlyAdmin):
    """Attempts of workflow runs."""

    list_display = ("name", "run_id", "attempt", "repository", "status", "conclusion", "started_at", "concluded_at")
    list_select_related = ("repository",)
    list_filter = ("status", "conclusion")
    search_fields = ("head_sha", "repository__full_name__iexact")
    search_ids = ("run_id", "workflow_id")
    ordering = ("-id",)


@admin.register(models.ReportedDeployment)
class ReportedDeploymentAdmin(ReadOnlyAdmin):
    """Deployments that were reported over the API."""

    list_display = ("external_id", "repository", "service", "environment", "state", "sha", "finished_at")
    list_select_related = ("repository",)
    list_filter = ("state",)
    search_fields = ("external_id", "sha", "repository__full_name__iexact", "environment", "service")
    ordering = ("-id",)


@admin.register(models.ReportedIncident)
class ReportedIncidentAdmin(ReadOnlyAdmin):
    """Incidents that were reported over the API."""

    list_display = ("external_id", "repository", "service", "title", "opened_at", "closed_at")
    list_select_related = ("repository",)
    list_filter = (("closed_at", admin.EmptyFieldListFilter),)
    search_fields = ("external_id", "title__icontains", "repository__full_name__iexact", "service")
    ordering = ("-id",)


@admin.register(models.Change)
class ChangeAdmin(ReadOnlyAdmin):
    """Changes that wait for recalculation; usually empty."""

    list_display = ("kind", "key", "recorded_at")
    list_filter = ("kind",)
    search_fields = ("key",)
    ordering = ("-id",)


@admin.register(models.Coverage)
class CoverageAdmin(ReadOnlyAdmin):
    """Periods in which a stream of a repository is complete."""

    list_display = ("repository", "stream", "from_at", "to_at")
    list_select_related = ("repository",)
    list_filter = ("stream",)
    search_fields = ("repository__full_name__iexact",)
    search_ids = ("repository",)
    ordering = ("-id",)


@admin.register(models.Provenance)
class ProvenanceAdmin(ReadOnlyAdmin):
    """Deliveries and API reads by the entity they reported; search by the key of either."""

    list_display = ("entity", "key", "source", "source_key")
    list_filter = ("entity", "source")
    search_fields = ("key", "source_key")
    ordering = ("-id",)
