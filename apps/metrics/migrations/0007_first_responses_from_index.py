from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the indexes are built while rows are derived

    dependencies = [("metrics", "0006_review_requests")]

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
                    "first_response_at",
                    "review_rounds",
                    "coding_seconds",
                    "pickup_seconds",
                    "review_seconds",
                    "merge_seconds",
                ),
            ),
        ),
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=["repository", "response_wait_ended_at"],
                name="response_waits_by_repository",
                condition=models.Q(("response_wait_ended_at__isnull", False)),
                include=("author", "is_bot_author", "first_response_seconds", "first_response_at", "ready_at"),
            ),
        ),
        AddConstraintNotValid(
            "derivedpullrequest",
            models.CheckConstraint(
                condition=models.Q(("first_response_seconds__gte", 0)), name="response_wait_is_never_negative"
            ),
        ),
        ValidateConstraint("derivedpullrequest", "response_wait_is_never_negative"),
    ]
