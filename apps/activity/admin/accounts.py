"""Accounts, installations and memberships in the admin."""

from django.contrib import admin

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.activity.models import Contributor, GitHubMembership, GitHubTeam, Installation, RepositoryAccess


@admin.register(Contributor)
class ContributorAdmin(ReadOnlyAdmin):
    """GitHub accounts; contributor fields of forms search them."""

    list_display = ("login", "kind", "github_id")
    list_filter = ("kind",)
    search_fields = ("login__icontains",)
    search_ids = ("github_id",)
    ordering = ("login",)


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    """Installations of the App."""

    list_display = ("github_id", "account", "repository_selection", "suspended_at", "deleted_at", "listed_at")
    list_select_related = ("account",)
    list_filter = (("suspended_at", admin.EmptyFieldListFilter), ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("account__login__icontains",)
    search_ids = ("github_id", "account")
    ordering = ("-github_id",)


@admin.register(RepositoryAccess)
class RepositoryAccessAdmin(ReadOnlyAdmin):
    """Access of installations to repositories."""

    list_display = ("repository", "installation", "has_access", "is_verified")
    list_select_related = ("repository", "installation")
    list_filter = ("has_access", "is_verified")
    search_fields = ("repository__full_name__istartswith",)
    search_ids = ("installation", "repository")
    ordering = ("-id",)


@admin.register(GitHubTeam)
class GitHubTeamAdmin(ReadOnlyAdmin):
    """Teams on GitHub."""

    list_display = ("name", "slug", "organization", "is_deleted", "is_verified")
    list_select_related = ("organization",)
    list_filter = ("is_deleted", "is_verified")
    search_fields = ("slug__icontains", "name__icontains", "organization__login__iexact")
    search_ids = ("github_id",)
    ordering = ("slug",)


@admin.register(GitHubMembership)
class GitHubMembershipAdmin(ReadOnlyAdmin):
    """Members of organisations, teams and repositories on GitHub."""

    list_display = ("contributor", "scope", "scope_id", "is_member", "role", "is_verified")
    list_select_related = ("contributor",)
    list_filter = ("scope", "is_member", "is_verified")
    search_fields = ("contributor__login__iexact",)
    search_ids = ("scope_id", "contributor")
    ordering = ("-id",)
