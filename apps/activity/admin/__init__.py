"""Read-only pages of facts, which only record() writes."""

from apps.activity.admin import accounts, bookkeeping, deployments, issues, pull_requests, repositories

__all__ = ["accounts", "bookkeeping", "deployments", "issues", "pull_requests", "repositories"]
