"""Repositories, their refs, pushes, commits and releases, in the admin."""

from django.contrib import admin

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.activity.models import Commit, CommitTrailer, GitReference, Push, Release, Repository


@admin.register(Repository)
class RepositoryAdmin(ReadOnlyAdmin):
    """Repositories; repository fields of forms search them."""

    list_display = ("full_name", "github_id", "default_branch", "is_private", "is_archived", "deleted_at")
    list_filter = ("is_private", "is_archived", "is_fork", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("full_name__icontains",)
    search_ids = ("github_id", "owner")
    ordering = ("full_name",)


@admin.register(GitReference)
class GitReferenceAdmin(ReadOnlyAdmin):
    """Branches and tags."""

    list_display = ("name", "kind", "repository", "is_deleted", "is_verified")
    list_select_related = ("repository",)
    list_filter = ("kind", "is_deleted")
    search_fields = ("name__istartswith", "repository__full_name__iexact")
    search_ids = ("repository",)
    ordering = ("-id",)


@admin.register(Push)
class PushAdmin(ReadOnlyAdmin):
    """Pushes to branches and tags."""

    list_display = ("ref", "repository", "before_sha", "after_sha", "pushed_at")
    list_select_related = ("repository",)
    search_fields = ("after_sha", "before_sha", "repository__full_name__iexact")
    search_ids = ("repository",)
    ordering = ("-id",)


@admin.register(Commit)
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


@admin.register(CommitTrailer)
class CommitTrailerAdmin(ReadOnlyAdmin):
    """Trailers of commit messages, such as co-authors."""

    list_display = ("sha", "token", "value", "repository")
    list_select_related = ("repository",)
    search_fields = ("sha__istartswith", "repository__full_name__iexact")
    ordering = ("-id",)


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    """Releases."""

    list_display = ("tag_name", "name", "repository", "author", "published_at", "deleted_at")
    list_select_related = ("repository", "author")
    list_filter = ("is_draft", "is_prerelease")
    search_fields = ("tag_name__istartswith", "repository__full_name__iexact")
    search_ids = ("github_id", "repository")
    ordering = ("-github_id",)
