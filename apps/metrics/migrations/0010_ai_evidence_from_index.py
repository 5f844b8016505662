from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the indexes are built while rows are derived

    dependencies = [("metrics", "0009_ai_evidence")]

    operations = [
        RemoveIndexConcurrently("derivedpullrequest", "review_waits_by_repository"),
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=["repository", "review_wait_ended_at"],
                name="review_waits_by_repository",
                condition=models.Q(("review_wait_ended_at__isnull", False)),
                include=(
                    "author",
                    "is_bot_author",
                    "author_class",
                    "attributed_to",
                    "first_review_seconds",
                    "is_reviewed_in_draft",
                ),
            ),
        ),
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=["repository", "response_wait_ended_at"],
                name="response_waits_by_repository",
                condition=models.Q(("response_wait_ended_at__isnull", False)),
                include=(
                    "author",
                    "is_bot_author",
                    "author_class",
                    "attributed_to",
                    "first_response_seconds",
                    "first_response_at",
                    "ready_at",
                ),
            ),
        ),
    ]
