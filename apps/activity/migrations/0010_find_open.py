from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# A build that was broken off leaves an index that serves nobody and stands in the way of the next one.
DROP = "DROP INDEX CONCURRENTLY IF EXISTS {}"


class Migration(migrations.Migration):
    atomic = False  # the indexes are built beside the work, not in its way

    dependencies = [
        ("activity", "0009_coverage_of_deliveries"),
    ]

    operations = [
        migrations.RunSQL(DROP.format("pull_request_open"), reverse_sql=migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="pullrequest",
            index=models.Index(fields=["repository"], name="pull_request_open", condition=models.Q(("state", "open"))),
        ),
        migrations.RunSQL(DROP.format("deployments_of_late"), reverse_sql=migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="deployment",
            index=models.Index(fields=["repository", "created_at"], name="deployments_of_late"),
        ),
        migrations.RunSQL(DROP.format("runs_not_over"), reverse_sql=migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="workflowrun",
            index=models.Index(
                fields=["repository", "created_at"],
                name="runs_not_over",
                condition=models.Q(("status", "completed"), _negated=True),
            ),
        ),
    ]
