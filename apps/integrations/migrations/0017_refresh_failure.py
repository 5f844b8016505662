from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0016_notified_at")]

    operations = [
        migrations.RenameModel(old_name="EnrichmentAttempt", new_name="RefreshFailure"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE integrations_refreshfailure RENAME CONSTRAINT one_attempt_row_per_pull_request"
                    " TO one_refresh_failure_per_pull_request",
                    "ALTER TABLE integrations_refreshfailure RENAME CONSTRAINT one_refresh_failure_per_pull_request"
                    " TO one_attempt_row_per_pull_request",
                ),
            ],
            state_operations=[
                migrations.RemoveConstraint(model_name="refreshfailure", name="one_attempt_row_per_pull_request"),
                migrations.AddConstraint(
                    model_name="refreshfailure",
                    constraint=models.UniqueConstraint(
                        fields=("repository", "number"), name="one_refresh_failure_per_pull_request"
                    ),
                ),
            ],
        ),
    ]
