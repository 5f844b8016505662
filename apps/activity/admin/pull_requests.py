"""Pull requests, their history, commits and reviews, in the admin."""

from django.contrib import admin

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.activity.models import PullRequest, PullRequestCommit, PullRequestEvent, Review, ReviewComment


@admin.register(PullRequest)
class PullRequestAdmin(ReadOnlyAdmin):
    """Pull requests; search by owner/name#12, #12, an id, a login or a commit."""

    list_display = ("title", "repository", "number", "state", "is_draft", "author", "created_at", "merged_at")
    list_select_related = ("repository", "author")
    list_filter = ("state", "is_draft", ("merged_at", admin.EmptyFieldListFilter))
    search_fields = ("repository__full_name__iexact", "author__login__iexact", "head_sha", "merge_sha")
    search_ids = ("github_id", "number")
    search_number = "number"
    ordering = ("-id",)


@admin.register(PullRequestEvent)
class PullRequestEventAdmin(ReadOnlyAdmin):
    """The histories of pull requests."""

    list_display = ("kind", "repository", "number", "subject", "actor", "at", "source")
    list_select_related = ("repository", "actor")
    list_filter = ("kind", "source")
    search_fields = ("repository__full_name__iexact", "actor__login__iexact")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(PullRequestCommit)
class PullRequestCommitAdmin(ReadOnlyAdmin):
    """Commits of pull requests by head."""

    list_display = ("sha", "repository", "number", "head_sha", "author", "authored_at")
    list_select_related = ("repository", "author")
    search_fields = ("sha", "head_sha", "repository__full_name__iexact")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    """Submitted reviews."""

    list_display = ("github_id", "repository", "number", "author", "verdict", "submitted_at", "dismissed_at")
    list_select_related = ("repository", "author")
    list_filter = ("verdict", ("dismissed_at", admin.EmptyFieldListFilter))
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("github_id", "number")
    search_number = "number"
    ordering = ("-github_id",)


@admin.register(ReviewComment)
class ReviewCommentAdmin(ReadOnlyAdmin):
    """Comments on lines of a diff."""

    list_display = ("github_id", "repository", "number", "author", "created_at", "deleted_at")
    list_select_related = ("repository", "author")
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("github_id", "number", "review_id")
    search_number = "number"
    ordering = ("-github_id",)
