from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is built while rows are derived

    dependencies = [("metrics", "0001_squashed_initial")]

    operations = [
        RemoveIndexConcurrently("derivedpullrequest", "merged_by_repository"),
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=["repository", "merged_at"],
                name="merged_by_repository",
                condition=models.Q(("merged_at__isnull", False)),
                include=(
                    "author",
                    "is_bot_author",
                    "cycle_seconds",
                    "size",
                    "first_review_at",
                    "review_rounds",
                    "coding_seconds",
                    "pickup_seconds",
                    "review_seconds",
                    "merge_seconds",
                ),
            ),
        ),
    ]
