"""A run that ended well is `completed`, a team's part of it a `success`. Both tables are small: a run is a row a night."""

from django.db import migrations, models

RENAMES = """
UPDATE integrations_synclog SET status = '{completed}' WHERE status = '{was_completed}';
UPDATE integrations_teamsync SET status = '{success}' WHERE status = '{was_success}';
"""
TO_NEW = RENAMES.format(completed="completed", was_completed="succeeded", success="success", was_success="succeeded")
TO_OLD = RENAMES.format(completed="succeeded", was_completed="completed", success="succeeded", was_success="success")


def finished_exactly_in(*last_states: str) -> models.Q:
    return models.Q(status__in=last_states, finished_at__isnull=False) | models.Q(
        status__in=["waiting", "running"], finished_at=None
    )


class Migration(migrations.Migration):
    dependencies = [("integrations", "0008_runs")]

    operations = [
        migrations.RemoveConstraint("synclog", "a_sync_is_finished_exactly_in_its_last_states"),
        migrations.RemoveConstraint("teamsync", "a_team_sync_is_finished_exactly_in_its_last_states"),
        migrations.AlterField(
            "synclog",
            "status",
            models.TextField(
                choices=[
                    ("waiting", "Waiting"),
                    ("running", "Running"),
                    ("completed", "Completed"),
                    ("failed", "Failed"),
                ],
                db_default="waiting",
            ),
        ),
        migrations.AlterField(
            "teamsync",
            "status",
            models.TextField(
                choices=[("waiting", "Waiting"), ("running", "Running"), ("success", "Success"), ("failed", "Failed")],
                db_default="waiting",
            ),
        ),
        migrations.RunSQL(TO_NEW, TO_OLD),
        migrations.AddConstraint(
            "teamsync",
            models.CheckConstraint(
                condition=finished_exactly_in("success", "failed"),
                name="a_team_sync_is_finished_exactly_in_its_last_states",
            ),
        ),
        migrations.AddConstraint(
            "synclog",
            models.CheckConstraint(
                condition=finished_exactly_in("completed", "failed"),
                name="a_sync_is_finished_exactly_in_its_last_states",
            ),
        ),
    ]
