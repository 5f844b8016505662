"""A reconciliation that went well is a `success` in its team's row too."""

from django.db import migrations, models

RENAME = "UPDATE teams_team SET last_sync_status = '{new}' WHERE last_sync_status = '{old}'"


class Migration(migrations.Migration):
    dependencies = [("teams", "0001_initial")]

    operations = [
        migrations.AlterField(
            "team",
            "last_sync_status",
            models.CharField(
                choices=[("never", "Never"), ("running", "Running"), ("success", "Success"), ("failed", "Failed")],
                default="never",
                max_length=10,
            ),
        ),
        migrations.RunSQL(RENAME.format(new="success", old="succeeded"), RENAME.format(new="succeeded", old="success")),
    ]
