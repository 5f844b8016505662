"""Issues and comments in the admin."""

from django.contrib import admin

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.activity.models import Issue, IssueComment


@admin.register(Issue)
class IssueAdmin(ReadOnlyAdmin):
    """Issues."""

    list_display = ("title", "repository", "number", "state", "author", "created_at", "closed_at")
    list_select_related = ("repository", "author")
    list_filter = ("state",)
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("github_id", "number")
    search_number = "number"
    ordering = ("-id",)


@admin.register(IssueComment)
class IssueCommentAdmin(ReadOnlyAdmin):
    """Comments on issues and pull requests."""

    list_display = ("github_id", "repository", "number", "is_on_pull_request", "author", "created_at", "deleted_at")
    list_select_related = ("repository", "author")
    list_filter = ("is_on_pull_request",)
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("github_id", "number")
    search_number = "number"
    ordering = ("-github_id",)
