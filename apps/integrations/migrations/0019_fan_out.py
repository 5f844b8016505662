from django.db import migrations, models

OLD_CONSTRAINT, NEW_CONSTRAINT = "a_team_has_one_part_in_a_sync", "a_team_is_in_a_sync_once"
RENAME_CONSTRAINT = "ALTER TABLE integrations_teamsync RENAME CONSTRAINT {} TO {}"


class Migration(migrations.Migration):
    dependencies = [("integrations", "0018_recovery_sources")]

    operations = [
        migrations.RenameField(model_name="synclog", old_name="is_spread", new_name="is_fanned_out"),
        migrations.RenameField(model_name="synclog", old_name="believes_deletions", new_name="accepts_mass_deletions"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    RENAME_CONSTRAINT.format(OLD_CONSTRAINT, NEW_CONSTRAINT),
                    RENAME_CONSTRAINT.format(NEW_CONSTRAINT, OLD_CONSTRAINT),
                )
            ],
            state_operations=[
                migrations.RemoveConstraint(model_name="teamsync", name=OLD_CONSTRAINT),
                migrations.AddConstraint(
                    model_name="teamsync",
                    constraint=models.UniqueConstraint(fields=("sync", "team"), name=NEW_CONSTRAINT),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="synclog",
            name="accepts_mass_deletions",
            field=models.BooleanField(
                db_default=False, help_text="what GitHub has no more is marked as deleted, however much it is"
            ),
        ),
        migrations.AlterField(
            model_name="synclog",
            name="is_thorough",
            field=models.BooleanField(
                db_default=False,
                help_text="what changes without a trace is compared in every repository, not only in those that are due",
            ),
        ),
        migrations.AlterField(
            model_name="synclog",
            name="sync_id",
            field=models.TextField(help_text="the period, such as nightly:2026-03-02, or the request", unique=True),
        ),
    ]
