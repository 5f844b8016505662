import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models import Q

OLD_CONSTRAINT = "a_missed_delivery_came_by_some_road_exactly_when_it_is_kept"
NEW_CONSTRAINT = "a_missed_delivery_has_a_recovery_source_exactly_when_it_is_kept"
RENAME_CONSTRAINT = "ALTER TABLE integrations_misseddelivery RENAME CONSTRAINT {} TO {}"
RENAME_VALUE = "UPDATE integrations_misseddelivery SET recovery_source = '{1}' WHERE recovery_source = '{0}'"
RENAME_KEY = """
UPDATE integrations_drift
SET recovery_sources = recovery_sources - '{0}' || jsonb_build_object('{1}', recovery_sources -> '{0}')
WHERE recovery_sources ? '{0}'
"""


class Migration(migrations.Migration):
    dependencies = [("integrations", "0017_refresh_failure")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    RENAME_CONSTRAINT.format(OLD_CONSTRAINT, NEW_CONSTRAINT),
                    RENAME_CONSTRAINT.format(NEW_CONSTRAINT, OLD_CONSTRAINT),
                )
            ],
            state_operations=[migrations.RemoveConstraint(model_name="misseddelivery", name=OLD_CONSTRAINT)],
        ),
        migrations.RenameField(model_name="misseddelivery", old_name="road", new_name="recovery_source"),
        migrations.RenameField(model_name="misseddelivery", old_name="is_other_way", new_name="uses_fallback"),
        migrations.RenameField(model_name="drift", old_name="roads", new_name="recovery_sources"),
        migrations.RunSQL(
            [RENAME_VALUE.format("came", "arrived"), RENAME_KEY.format("sweep", "delivery_log")],
            [RENAME_VALUE.format("arrived", "came"), RENAME_KEY.format("delivery_log", "sweep")],
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddConstraint(
                    model_name="misseddelivery",
                    constraint=models.CheckConstraint(
                        condition=Q(state="kept", kept_at__isnull=False) & ~Q(recovery_source="")
                        | ~Q(state="kept") & Q(kept_at=None),
                        name=NEW_CONSTRAINT,
                    ),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="deliverylogscan",
            name="planned_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(), help_text="when it was last planned"
            ),
        ),
        migrations.AlterField(
            model_name="drift",
            name="recovery_sources",
            field=models.JSONField(
                blank=True, default=dict, help_text="how many of the missing ones each source brought"
            ),
        ),
        migrations.AlterField(
            model_name="misseddelivery",
            name="attempts",
            field=models.SmallIntegerField(db_default=0, help_text="attempts in the present way"),
        ),
        migrations.AlterField(
            model_name="misseddelivery",
            name="is_counted",
            field=models.BooleanField(
                db_default=False, help_text="a reconciliation run has counted it in its recovery_sources"
            ),
        ),
        migrations.AlterField(
            model_name="misseddelivery",
            name="recovery_source",
            field=models.TextField(
                blank=True,
                choices=[("fetched", "Fetched"), ("redelivered", "Redelivered"), ("arrived", "Arrived")],
                db_default="",
                help_text="what brought it into the inbox",
            ),
        ),
        migrations.AlterField(
            model_name="misseddelivery",
            name="uses_fallback",
            field=models.BooleanField(db_default=False, help_text="the way that SCAN_REDELIVERS names has failed"),
        ),
    ]
