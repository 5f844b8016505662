from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is built beside the work, not in its way

    dependencies = [
        ("activity", "0007_deployment_groups"),
    ]

    operations = [
        # A build that was broken off leaves an index that serves nobody and stands in the way of the next one.
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS pull_request_unlisted", reverse_sql=migrations.RunSQL.noop
        ),
        AddIndexConcurrently(
            model_name="pullrequest",
            index=models.Index(
                fields=["-updated_at"],
                condition=models.Q(("listed_head_sha", models.F("head_sha")), _negated=True),
                name="pull_request_unlisted",
            ),
        ),
    ]
