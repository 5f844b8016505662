from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

# The rows stay unique all the while: the old constraint goes once there is the new index.
WITH_TIME = [
    "DROP INDEX CONCURRENTLY IF EXISTS one_shipment_with_its_time",
    """
    CREATE UNIQUE INDEX CONCURRENTLY one_shipment_with_its_time
    ON metrics_derivedshipment (repository_id, number, service, environment)
    INCLUDE (id, source, is_production, deployed_at)
    """,
    "ALTER TABLE metrics_derivedshipment DROP CONSTRAINT one_shipment_per_environment",
    "ALTER INDEX one_shipment_with_its_time RENAME TO one_shipment_per_environment",
]
WITHOUT_TIME = [
    "DROP INDEX CONCURRENTLY IF EXISTS one_shipment",
    """
    CREATE UNIQUE INDEX CONCURRENTLY one_shipment
    ON metrics_derivedshipment (repository_id, number, service, environment)
    """,
    "DROP INDEX CONCURRENTLY one_shipment_per_environment",
    """
    ALTER TABLE metrics_derivedshipment
    ADD CONSTRAINT one_shipment_per_environment UNIQUE USING INDEX one_shipment
    """,
]


class Migration(migrations.Migration):
    atomic = False  # the indexes are built while rows are derived

    dependencies = [("metrics", "0014_rework")]

    operations = [
        RemoveIndexConcurrently("derivedpullrequest", "merged_by_repository"),
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=["repository", "merged_at"],
                name="merged_by_repository",
                condition=models.Q(("merged_at__isnull", False)),
                include=(
                    *("number", "author", "is_bot_author", "author_class", "attributed_to"),
                    *("is_ai_assisted", "is_ai_reviewed"),
                    *("cycle_seconds", "size", "first_review_at", "first_response_at", "review_rounds"),
                    *("coding_seconds", "pickup_seconds", "review_seconds", "merge_seconds"),
                    *("queue_seconds", "is_auto_merged", "reverts_number", "is_hotfix"),
                ),
            ),
        ),
        AddIndexConcurrently(
            "derivedpullrequest",
            models.Index(
                fields=["repository", "merged_at"],
                name="agents_merged_by_repository",
                condition=models.Q(("author_class", "agent"), ("merged_at__isnull", False)),
                include=("author", "is_bot_author", "author_class", "attributed_to"),
            ),
        ),
        RemoveIndexConcurrently("derivedshipment", "shipped_by_repository"),
        AddIndexConcurrently(
            "derivedshipment",
            models.Index(
                fields=["repository", "deployed_at"],
                name="shipped_by_repository",
                include=(
                    *("id", "number", "environment", "source", "is_production"),
                    *("author", "is_bot_author", "author_class", "attributed_to", "lead_seconds", "deploy_seconds"),
                ),
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(WITH_TIME, WITHOUT_TIME)],
            state_operations=[
                migrations.RemoveConstraint("derivedshipment", "one_shipment_per_environment"),
                migrations.AddConstraint(
                    "derivedshipment",
                    models.UniqueConstraint(
                        fields=("repository", "number", "service", "environment"),
                        name="one_shipment_per_environment",
                        include=("id", "source", "is_production", "deployed_at"),
                    ),
                ),
            ],
        ),
    ]
