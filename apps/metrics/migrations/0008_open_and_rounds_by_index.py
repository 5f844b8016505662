"""Indexes for review rounds and for work in progress at many instants; each is built before the one it replaces goes."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models import Value
from django.db.models.functions import Cast, Coalesce


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("metrics", "0007_account_classes")]

    operations = [
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=("repository", "merged_at"),
                name="merged_by_repository",
                condition=models.Q(merged_at__isnull=False),
                include=("author", "is_bot_author", "cycle_seconds", "size", "first_review_at", "review_rounds"),
            ),
        ),
        RemoveIndexConcurrently("derivedpullrequest", "merges_by_repository"),
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                "repository",
                Coalesce("closed_at", Cast(Value("infinity"), models.DateTimeField())),
                "opened_at",
                name="open_by_repository",
            ),
        ),
        RemoveIndexConcurrently("derivedpullrequest", "ended_by_repository"),
    ]
