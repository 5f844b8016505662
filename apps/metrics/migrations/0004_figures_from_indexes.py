"""Indexes that have every column of the figures that they serve; each is built before the one it replaces goes."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("metrics", "0003_hourly_figures")]

    operations = [
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=("repository", "merged_at"),
                name="merges_by_repository",
                condition=models.Q(merged_at__isnull=False),
                include=("author", "is_bot_author", "cycle_seconds", "size", "first_review_at"),
            ),
        ),
        RemoveIndexConcurrently("derivedpullrequest", "merged_by_repository"),
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=("repository", "review_wait_ended_at"),
                name="review_waits_by_repository",
                condition=models.Q(review_wait_ended_at__isnull=False),
                include=("author", "is_bot_author", "first_review_seconds", "is_reviewed_in_draft"),
            ),
        ),
        RemoveIndexConcurrently("derivedpullrequest", "first_reviewed_by_repository"),
        AddIndexConcurrently(
            "derivedreview",
            models.Index(
                fields=("repository", "submitted_at"),
                name="submitted_by_repository",
                include=("reviewer", "is_by_bot", "is_by_author"),
            ),
        ),
        RemoveIndexConcurrently("derivedreview", "reviews_by_repository"),
        AddIndexConcurrently(
            "derivedcommit",
            models.Index(
                fields=("repository", "landed_at"),
                name="commits_by_repository",
                include=("author", "is_by_bot", "is_merge"),
            ),
        ),
        RemoveIndexConcurrently("derivedcommit", "landed_by_repository"),
    ]
