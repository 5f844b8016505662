from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the indexes are built while rows are derived

    dependencies = [
        ("metrics", "0013_hours_that_can_be_compared"),
    ]

    operations = [
        RemoveIndexConcurrently(
            model_name="derivedpullrequest",
            name="merged_by_repository",
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="is_hotfix",
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="reverts_number",
            field=models.IntegerField(blank=True, help_text="number of the pull request that it reverts", null=True),
        ),
        AddIndexConcurrently(
            model_name="derivedpullrequest",
            index=models.Index(
                condition=models.Q(("merged_at__isnull", False)),
                fields=["repository", "merged_at"],
                include=(
                    "author",
                    "is_bot_author",
                    "author_class",
                    "attributed_to",
                    "is_ai_assisted",
                    "is_ai_reviewed",
                    "cycle_seconds",
                    "size",
                    "first_review_at",
                    "first_response_at",
                    "review_rounds",
                    "coding_seconds",
                    "pickup_seconds",
                    "review_seconds",
                    "merge_seconds",
                    "queue_seconds",
                    "is_auto_merged",
                    "reverts_number",
                    "is_hotfix",
                ),
                name="merged_by_repository",
            ),
        ),
        AddIndexConcurrently(
            model_name="derivedpullrequest",
            index=models.Index(
                condition=models.Q(("merged_at__isnull", False), ("reverts_number__isnull", False)),
                fields=["repository", "reverts_number", "merged_at"],
                name="merged_reverts_of_one",
            ),
        ),
    ]
