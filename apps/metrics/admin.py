"""What is derived, to be read: rows are written by the recalculation alone and can be rebuilt at any time."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.activity.admin.repositories import RepositoryAdmin
from apps.activity.models import Repository
from apps.metrics.completeness import Completeness, Report, report_of
from apps.metrics.completeness.descriptions import advice, gap_in_words, in_words
from apps.metrics.models import (
    DerivedClosing,
    DerivedCommit,
    DerivedDeployment,
    DerivedPullRequest,
    DerivedReview,
    HourlyFigures,
    TeamFreshness,
)
from apps.teams.admin import TeamAdmin
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

COMPLETE = ("complete_until", "gaps")


class TellingWhatIsComplete:
    """Two fields of a row's page that nobody edits: up to when all is here, and where something may be missing."""

    @admin.display(description="Complete until")
    def complete_until(self, row: Any) -> str:
        told, report = self.complete(row)
        return in_words(told, report=report, now=datetime.now(UTC))

    @admin.display(description="Gaps")
    def gaps(self, row: Any) -> SafeString:
        told, report = self.complete(row)
        lines = ((f"{gap_in_words(gap, names=report.names)} {advice(gap)}",) for gap in told.gaps)
        return format_html_join(mark_safe("<br>"), "{}", lines) or mark_safe("&ndash;")

    def complete(self, row: Any) -> tuple[Completeness, Report]:
        """What is complete of the row, and the report that says so."""
        if not hasattr(row, "_complete"):
            report = self.report(row)
            row._complete = report.of_team(end_at=datetime.now(UTC)), report
        told: tuple[Completeness, Report] = row._complete
        return told

    def report(self, row: Any) -> Report:
        """The report about the row's repositories."""
        raise NotImplementedError


class CompleteRepositoryAdmin(TellingWhatIsComplete, RepositoryAdmin):
    """Repositories, and what is complete of them."""

    readonly_fields = COMPLETE

    def report(self, row: Repository) -> Report:
        return report_of([row.pk])


class CompleteTeamAdmin(TellingWhatIsComplete, TeamAdmin):
    """Teams, and what is complete of their repositories."""

    readonly_fields: tuple[str, ...] = (*TeamAdmin.readonly_fields, *COMPLETE)  # type: ignore[assignment]

    def report(self, row: Team) -> Report:
        return report_of(repositories_of(Team.objects.filter(pk=row.pk)).order_by().values_list("pk", flat=True))


admin.site.unregister((Repository, Team))
admin.site.register(Repository, CompleteRepositoryAdmin)
admin.site.register(Team, CompleteTeamAdmin)


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


@admin.register(HourlyFigures)
class HourlyFiguresAdmin(ReadOnlyAdmin):
    """The figures of teams as they stood, hour by hour."""

    list_display = ("team", "hour", "computed_at", "complete_until")
    list_select_related = ("team",)
    search_fields = ("team__name__icontains", "team__slug__icontains")
    ordering = ("-id",)


@admin.register(TeamFreshness)
class TeamFreshnessAdmin(ReadOnlyAdmin):
    """When something that a team's figures are read with was last changed."""

    list_display = ("team", "changed_at")
    list_select_related = ("team",)
    search_fields = ("team__name__icontains", "team__slug__icontains")
    ordering = ("-changed_at",)
