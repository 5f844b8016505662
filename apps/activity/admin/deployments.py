"""Deployments and workflow runs in the admin."""

from django.contrib import admin

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.activity.models import Deployment, DeploymentStatus, WorkflowRun


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    """Deployments; search by id, run, commit or environment."""

    list_display = ("github_id", "repository", "environment", "sha", "run_id", "creator", "created_at")
    list_select_related = ("repository", "creator")
    list_filter = ("is_production", "is_transient")
    search_fields = ("environment", "sha", "repository__full_name__iexact")
    search_ids = ("github_id", "run_id")
    ordering = ("-github_id",)


@admin.register(DeploymentStatus)
class DeploymentStatusAdmin(ReadOnlyAdmin):
    """Reports on deployments."""

    list_display = ("github_id", "deployment_id", "repository", "state", "environment", "created_at")
    list_select_related = ("repository",)
    list_filter = ("state",)
    search_fields = ("environment", "repository__full_name__iexact")
    search_ids = ("github_id", "deployment_id")
    ordering = ("-github_id",)


@admin.register(WorkflowRun)
class WorkflowRunAdmin(ReadOnlyAdmin):
    """Attempts of workflow runs."""

    list_display = ("name", "run_id", "attempt", "repository", "status", "conclusion", "started_at", "concluded_at")
    list_select_related = ("repository",)
    list_filter = ("status", "conclusion")
    search_fields = ("head_sha", "repository__full_name__iexact")
    search_ids = ("run_id", "workflow_id")
    ordering = ("-id",)
