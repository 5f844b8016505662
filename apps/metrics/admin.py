"""What is derived, to be read: rows are written by the recalculation alone and can be rebuilt at any time."""

from django.contrib import admin

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.metrics.models import (
    DerivedClosing,
    DerivedCommit,
    DerivedDeployment,
    DerivedPullRequest,
    DerivedReview,
    TeamFreshness,
)


@admin.register(DerivedPullRequest)
class DerivedPullRequestAdmin(ReadOnlyAdmin):
    """The clocks of pull requests; search by owner/name#12, #12, a number or a login."""

    list_display = ("__str__", "repository", "author", "opened_at", "ready_at", "merged_at", "cycle_seconds", "size")
    list_select_related = ("repository", "author")
    list_filter = ("is_bot_author", "is_draft", "is_reopened", "is_force_pushed", "rules_version")
    search_fields = ("repository__full_name__iexact", "author__login__iexact", "merge_sha")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(DerivedClosing)
class DerivedClosingAdmin(ReadOnlyAdmin):
    """Stretches in which a pull request was closed without being merged."""

    list_display = ("__str__", "repository", "author", "closed_at", "reopened_at")
    list_select_related = ("repository", "author")
    list_filter = ("is_bot_author", "rules_version")
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(DerivedReview)
class DerivedReviewAdmin(ReadOnlyAdmin):
    """Reviews, and whether they qualify."""

    list_display = ("review_id", "repository", "number", "reviewer", "verdict", "submitted_at", "is_by_bot")
    list_select_related = ("repository", "reviewer")
    list_filter = ("is_by_bot", "is_by_author", "verdict", "rules_version")
    search_fields = ("repository__full_name__iexact", "reviewer__login__iexact")
    search_ids = ("review_id", "number")
    search_number = "number"
    ordering = ("-review_id",)


@admin.register(DerivedDeployment)
class DerivedDeploymentAdmin(ReadOnlyAdmin):
    """What one run, or a deployment outside any run, did to one environment."""

    list_display = ("__str__", "repository", "environment", "is_production", "sha", "succeeded_at", "failed_at")
    list_select_related = ("repository",)
    list_filter = ("is_production", "rules_version")
    search_fields = ("repository__full_name__iexact", "environment", "sha", "group_key")
    search_ids = ("run_id", "last_deployment_id")
    ordering = ("-id",)


@admin.register(DerivedCommit)
class DerivedCommitAdmin(ReadOnlyAdmin):
    """Commits on default branches, with their authors resolved."""

    list_display = ("sha", "repository", "author", "author_login", "is_by_bot", "is_merge", "landed_at")
    list_select_related = ("repository", "author")
    list_filter = ("is_by_bot", "is_merge", "rules_version")
    search_fields = ("sha", "repository__full_name__iexact", "author__login__iexact")
    ordering = ("-id",)


@admin.register(TeamFreshness)
class TeamFreshnessAdmin(ReadOnlyAdmin):
    """When something that a team's figures are read with was last changed."""

    list_display = ("team", "changed_at")
    list_select_related = ("team",)
    search_fields = ("team__name__icontains", "team__slug__icontains")
    ordering = ("-changed_at",)
