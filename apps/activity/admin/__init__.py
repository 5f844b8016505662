"""What happened, to be read: facts are written through record() alone."""

from apps.activity.admin import accounts, bookkeeping, deployments, issues, pull_requests, repositories

__all__ = ["accounts", "bookkeeping", "deployments", "issues", "pull_requests", "repositories"]
