from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0015_repositories_of_runs_are_jobs")]

    operations = [
        migrations.RenameField(model_name="teamsync", old_name="rung_at", new_name="notified_at"),
        migrations.AlterField(
            model_name="teamsync",
            name="notified_at",
            field=models.DateTimeField(blank=True, help_text="when workers were last notified", null=True),
        ),
    ]
