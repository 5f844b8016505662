"""Goals, and read-only pages of derived rows, which only the recalculation writes and which can be rebuilt."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from apps.activity.admin import RepositoryAdmin
from apps.activity.models import Repository
from apps.common.admin import FindingAdmin, ReadOnlyAdmin
from apps.metrics.completeness import Completeness, Report, report_of
from apps.metrics.completeness.descriptions import advise, explain_completeness, explain_gap
from apps.metrics.figures import FIGURES
from apps.metrics.models import (
    DerivedAIEvidence,
    DerivedClosing,
    DerivedCommit,
    DerivedDeployment,
    DerivedFailure,
    DerivedIncident,
    DerivedPullRequest,
    DerivedRemediation,
    DerivedReview,
    DerivedReviewRequest,
    DerivedShipment,
    DerivedWorkflowRun,
    Goal,
    HourlyFigures,
    RebuildDifference,
    RebuildSample,
    RepositoryFreshness,
    TeamFreshness,
)
from apps.teams.admin import TeamAdmin
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

COMPLETE = ("complete_until", "gaps")


class CompletenessFields:
    """Two read-only fields of a row's page: up to when it is complete, and its gaps."""

    @admin.display(description="Complete until")
    def complete_until(self, row: Any) -> str:
        found, report = self.complete(row)
        return explain_completeness(found, report=report, now=datetime.now(UTC))

    @admin.display(description="Gaps")
    def gaps(self, row: Any) -> SafeString:
        found, report = self.complete(row)
        lines = ((f"{explain_gap(gap, names=report.names)} {advise(gap)}",) for gap in found.gaps)
        return format_html_join(mark_safe("<br>"), "{}", lines) or mark_safe("&ndash;")

    def complete(self, row: Any) -> tuple[Completeness, Report]:
        """Return the completeness of the row, and the report it is from."""
        if not hasattr(row, "_complete"):
            report = self.report(row)
            row._complete = report.of_team(end_at=datetime.now(UTC)), report
        found: tuple[Completeness, Report] = row._complete
        return found

    def report(self, row: Any) -> Report:
        """Return the report on the row's repositories."""
        raise NotImplementedError


class CompleteRepositoryAdmin(CompletenessFields, RepositoryAdmin):
    """Repositories and their completeness."""

    readonly_fields = COMPLETE

    def report(self, row: Repository) -> Report:
        return report_of([row.pk])


class CompleteTeamAdmin(CompletenessFields, TeamAdmin):
    """Teams and the completeness of their repositories."""

    readonly_fields: tuple[str, ...] = (*TeamAdmin.readonly_fields, *COMPLETE)  # type: ignore[assignment]

    def report(self, row: Team) -> Report:
        return report_of(repositories_of(Team.objects.filter(pk=row.pk)).order_by().values_list("pk", flat=True))


admin.site.unregister((Repository, Team))
admin.site.register(Repository, CompleteRepositoryAdmin)
admin.site.register(Team, CompleteTeamAdmin)


@admin.register(DerivedPullRequest)
class DerivedPullRequestAdmin(ReadOnlyAdmin):
    """Times and durations of pull requests; search by owner/name#12, #12, a number or a login."""

    list_display = ("__str__", "repository", "author", "opened_at", "ready_at", "merged_at", "cycle_seconds", "size")
    list_select_related = ("repository", "author")
    list_filter = ("is_bot_author", "is_draft", "is_reopened", "is_force_pushed", "rules_version")
    search_fields = ("repository__full_name__iexact", "author__login__iexact", "merge_sha")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(DerivedAIEvidence)
class DerivedAIEvidenceAdmin(ReadOnlyAdmin):
    """Evidence of AI tools in pull requests; search by owner/name#12, #12 or a number."""

    list_display = ("__str__", "repository", "source", "tool", "confidence")
    list_select_related = ("repository",)
    list_filter = ("kind", "source", "confidence", "rules_version")
    search_fields = ("repository__full_name__iexact", "tool__iexact")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(DerivedClosing)
class DerivedClosingAdmin(ReadOnlyAdmin):
    """Periods in which a pull request was closed without being merged."""

    list_display = ("__str__", "repository", "author", "closed_at", "reopened_at")
    list_select_related = ("repository", "author")
    list_filter = ("is_bot_author", "rules_version")
    search_fields = ("repository__full_name__iexact", "author__login__iexact")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(DerivedReview)
class DerivedReviewAdmin(ReadOnlyAdmin):
    """Reviews and whether they count."""

    list_display = ("review_id", "repository", "number", "reviewer", "verdict", "submitted_at", "is_by_bot")
    list_select_related = ("repository", "reviewer")
    list_filter = ("is_by_bot", "is_by_author", "verdict", "rules_version")
    search_fields = ("repository__full_name__iexact", "reviewer__login__iexact")
    search_ids = ("review_id", "number")
    search_number = "number"
    ordering = ("-review_id",)


@admin.register(DerivedReviewRequest)
class DerivedReviewRequestAdmin(ReadOnlyAdmin):
    """Review requests, and whether they were answered or withdrawn."""

    list_display = ("__str__", "repository", "reviewer", "requested_at", "answered_at", "withdrawn_at")
    list_select_related = ("repository", "reviewer")
    list_filter = ("is_bot_reviewer", "rules_version")
    search_fields = ("repository__full_name__iexact", "reviewer__login__iexact", "subject")
    search_ids = ("number",)
    search_number = "number"
    ordering = ("-id",)


@admin.register(DerivedDeployment)
class DerivedDeploymentAdmin(ReadOnlyAdmin):
    """Deployments to an environment by one workflow run, or outside of any."""

    list_display = (
        "__str__",
        "repository",
        "environment",
        "service",
        "is_production",
        "sha",
        "succeeded_at",
        "failed_at",
    )
    list_select_related = ("repository",)
    list_filter = ("source", "is_production", "rules_version")
    search_fields = ("repository__full_name__iexact", "environment", "sha", "group_key")
    search_ids = ("run_id", "last_deployment_id")
    ordering = ("-id",)


@admin.register(DerivedShipment)
class DerivedShipmentAdmin(ReadOnlyAdmin):
    """Merged pull requests, and the deployments that shipped them."""

    list_display = ("__str__", "repository", "service", "environment", "deployed_at", "is_order_unknown")
    list_select_related = ("repository",)
    list_filter = ("is_production", "is_order_unknown", "is_hotfix", "rules_version")
    search_fields = ("repository__full_name__iexact", "environment", "deployment")
    search_number = "number"
    ordering = ("-id",)


@admin.register(DerivedRemediation)
class DerivedRemediationAdmin(ReadOnlyAdmin):
    """Deployments that remedied an earlier one, with the evidence."""

    list_display = ("__str__", "repository", "kind", "evidence", "failing_at", "remediated_at")
    list_select_related = ("repository",)
    list_filter = ("kind", "is_production", "rules_version")
    search_fields = ("repository__full_name__iexact", "environment", "failing", "remediation")
    ordering = ("-id",)


@admin.register(DerivedWorkflowRun)
class DerivedWorkflowRunAdmin(ReadOnlyAdmin):
    """Concluded attempts of workflow runs."""

    list_display = ("__str__", "repository", "branch", "actor", "conclusion", "is_flaky", "concluded_at")
    list_select_related = ("repository", "actor")
    list_filter = ("conclusion", "is_by_bot", "is_flaky", "rules_version")
    search_fields = ("repository__full_name__iexact", "sha", "workflow")
    search_ids = ("run_id",)


@admin.register(DerivedIncident)
class DerivedIncidentAdmin(ReadOnlyAdmin):
    """Incidents, and what they name as their cause."""

    list_display = ("__str__", "repository", "service", "opened_at", "closed_at", "named_deployment", "named_number")
    list_select_related = ("repository",)
    list_filter = ("origin", ("closed_at", admin.EmptyFieldListFilter), "rules_version")
    search_fields = ("name", "title__icontains", "repository__full_name__iexact")
    ordering = ("-id",)


@admin.register(DerivedFailure)
class DerivedFailureAdmin(ReadOnlyAdmin):
    """Deployments that caused an incident, with the evidence."""

    list_display = ("__str__", "repository", "kind", "environment", "failing_at", "opened_at", "closed_at")
    list_select_related = ("repository",)
    list_filter = ("kind", "is_production", "rules_version")
    search_fields = ("repository__full_name__iexact", "environment", "failing", "incident")
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
    """Figures of teams as they were in each hour."""

    list_display = ("team", "hour", "computed_at", "complete_until")
    list_select_related = ("team",)
    search_fields = ("team__name__icontains", "team__slug__icontains")
    ordering = ("-id",)


class GoalForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """A goal of one of the figures that are defined."""

    figure = forms.ChoiceField(choices=[(key, figure.title) for key, figure in FIGURES.items()])


@admin.register(Goal)
class GoalAdmin(FindingAdmin):
    """What teams want of their own figures; no figure depends on it."""

    form = GoalForm
    list_display = ("team", "figure", "direction", "target", "from_day", "until_day")
    list_select_related = ("team",)
    list_filter = ("direction",)
    search_fields = ("team__name__icontains", "team__slug__icontains", "figure")
    autocomplete_fields = ("team",)


@admin.register(RebuildSample)
class RebuildSampleAdmin(ReadOnlyAdmin):
    """What was derived again each night; no difference is expected."""

    list_display = ("night", "repositories", "skipped", "compared", "difference_count", "started_at", "finished_at")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[RebuildSample]":
        queryset: QuerySet[RebuildSample] = super().get_queryset(request)
        return queryset.annotate(found=Count("differences"))

    @admin.display(description="Differences", ordering="found")
    def difference_count(self, sample: Any) -> int:
        return int(sample.found)


@admin.register(RebuildDifference)
class RebuildDifferenceAdmin(ReadOnlyAdmin):
    """Derived rows that were not what the facts make of them."""

    list_display = ("description", "repository", "sample", "settled_at")
    list_select_related = ("repository", "sample")
    list_filter = (("settled_at", admin.EmptyFieldListFilter),)
    search_fields = ("repository__full_name__iexact", "description__icontains")
    ordering = ("-id",)


@admin.register(RepositoryFreshness)
class RepositoryFreshnessAdmin(ReadOnlyAdmin):
    """The last change of a repository's derived rows."""

    list_display = ("repository", "version", "changed_at")
    list_select_related = ("repository",)
    search_fields = ("repository__full_name__icontains",)
    ordering = ("-changed_at",)


@admin.register(TeamFreshness)
class TeamFreshnessAdmin(ReadOnlyAdmin):
    """The last change of the team settings that its figures depend on."""

    list_display = ("team", "changed_at")
    list_select_related = ("team",)
    search_fields = ("team__name__icontains", "team__slug__icontains")
    ordering = ("-changed_at",)
