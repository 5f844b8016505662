"""Drop the indexes of foreign keys that another index of their table begins with."""

import django.db.models.deletion
from django.db import migrations, models

INDEXES = (("webhooks_otherbody_delivery_id_b264a9bd", "webhooks_otherbody", "delivery_id"),)


def drop(name: str, table: str, column: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
        reverse_sql=f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} ({column})",
    )


class Migration(migrations.Migration):
    atomic = False  # the indexes are dropped beside the work, not in its way

    dependencies = [
        ("webhooks", "0009_notified_at"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[drop(*index) for index in INDEXES],
            state_operations=[
                migrations.AlterField(
                    model_name="otherbody",
                    name="delivery",
                    field=models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="webhooks.delivery"
                    ),
                ),
            ],
        ),
    ]
