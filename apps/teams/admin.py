"""Teams in the admin: members, repositories, access; rules of bots, services and sources of deployments."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from apps.common.admin import FindingAdmin
from apps.teams.models import (
    AccountRule,
    DeploymentSource,
    HotfixRule,
    IncidentRule,
    ServiceRule,
    Team,
    TeamAccess,
    TeamMember,
    TeamRepository,
)

MOST_ROWS = 7
"""Of each kind on a page: the theme needs 10 KB for a row that can be edited."""


class MemberInline(TabularInline):  # type: ignore[misc]
    """Members, with dates."""

    model = TeamMember
    autocomplete_fields = ("contributor",)
    readonly_fields = ("is_from_github",)
    extra = 0
    tab = True
    per_page = MOST_ROWS

    def get_queryset(self, request: HttpRequest) -> "QuerySet[TeamMember]":
        queryset: QuerySet[TeamMember] = super().get_queryset(request)
        return queryset.select_related("team", "contributor").order_by("contributor__login", "from_at")


class RepositoryInline(TabularInline):  # type: ignore[misc]
    """Repositories in addition to those of the team's account."""

    model = TeamRepository
    autocomplete_fields = ("repository",)
    extra = 0
    tab = True
    per_page = MOST_ROWS

    def get_queryset(self, request: HttpRequest) -> "QuerySet[TeamRepository]":
        queryset: QuerySet[TeamRepository] = super().get_queryset(request)
        return queryset.select_related("team", "repository").order_by("repository__full_name")


class AccessInline(TabularInline):  # type: ignore[misc]
    """Users with access to the team."""

    model = TeamAccess
    autocomplete_fields = ("user",)
    extra = 0
    tab = True
    per_page = MOST_ROWS

    def get_queryset(self, request: HttpRequest) -> "QuerySet[TeamAccess]":
        queryset: QuerySet[TeamAccess] = super().get_queryset(request)
        return queryset.select_related("team", "user").order_by("user__username")


@admin.register(Team)
class TeamAdmin(FindingAdmin):
    """Teams; every edit leads to a recalculation."""

    list_display = (
        "name",
        "slug",
        "account",
        "time_zone",
        "members_named",
        "is_approved",
        "sync_frequency",
        "last_sync_status",
    )
    list_select_related = ("account",)
    list_filter = ("is_approved", "sync_frequency", "last_sync_status")
    search_fields = ("name__icontains", "slug__icontains", "account__login__iexact")
    search_ids = ("account",)
    autocomplete_fields = ("account",)
    prepopulated_fields = {"slug": ("name",)}  # noqa: RUF012  Django's own shape
    readonly_fields = ("github_team", "last_sync_status", "last_sync_error", "last_synced_at", "created_at")
    inlines = (MemberInline, RepositoryInline, AccessInline)
    warn_unsaved_form = True

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Team]":
        queryset: QuerySet[Team] = super().get_queryset(request)
        return queryset.annotate(members_named_count=Count("members__contributor", distinct=True))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save the rows; a membership that is changed by hand no longer follows GitHub."""
        for row in formset.forms if formset.model is TeamMember else ():
            row.instance.is_from_github = row.instance.is_from_github and not row.has_changed()
        super().save_formset(request, form, formset, change)

    @admin.display(description="Members", ordering="members_named_count")
    def members_named(self, team: Any) -> str:
        return str(team.members_named_count or "everyone")


@admin.register(AccountRule)
class AccountRuleAdmin(FindingAdmin):
    """Accounts that count as human, agent or bot against GitHub's account type and the lists of robots."""

    list_display = ("contributor", "account_class")
    list_select_related = ("contributor",)
    list_filter = ("account_class",)
    search_fields = ("contributor__login__icontains",)
    search_ids = ("contributor",)
    autocomplete_fields = ("contributor",)


@admin.register(ServiceRule)
class ServiceRuleAdmin(FindingAdmin):
    """Rules that name the service of a deployment; the most specific rule that matches counts."""

    list_display = ("service", "field", "pattern", "repository", "account")
    list_select_related = ("repository", "account")
    list_filter = ("field",)
    search_fields = ("service__icontains", "repository__full_name__icontains")
    autocomplete_fields = ("repository", "account")


@admin.register(DeploymentSource)
class DeploymentSourceAdmin(FindingAdmin):
    """What counts as a deployment, where it is not GitHub's deployments."""

    list_display = ("kind", "pattern", "repository", "account")
    list_select_related = ("repository", "account")
    list_filter = ("kind",)
    search_fields = ("pattern__icontains", "repository__full_name__icontains")
    autocomplete_fields = ("repository", "account")


@admin.register(HotfixRule)
class HotfixRuleAdmin(FindingAdmin):
    """What makes a pull request a hotfix."""

    list_display = ("field", "pattern", "repository", "account")
    list_select_related = ("repository", "account")
    list_filter = ("field",)
    search_fields = ("pattern__icontains", "repository__full_name__icontains")
    autocomplete_fields = ("repository", "account")


@admin.register(IncidentRule)
class IncidentRuleAdmin(FindingAdmin):
    """What makes an issue an incident, and how far back a deployment may have caused it."""

    list_display = ("field", "pattern", "most_hours", "repository", "account")
    list_select_related = ("repository", "account")
    list_filter = ("field",)
    search_fields = ("pattern__icontains", "repository__full_name__icontains")
    autocomplete_fields = ("repository", "account")
