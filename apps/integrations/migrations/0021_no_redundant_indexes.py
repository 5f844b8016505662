"""Drop the indexes of foreign keys that another index of their table begins with."""

import django.db.models.deletion
from django.db import migrations, models

INDEXES = (
    ("integrations_backfill_repository_id_f2617f3b", "integrations_backfill", "repository_id"),
    ("integrations_drift_repository_sync_id_8623075a", "integrations_drift", "repository_sync_id"),
    ("integrations_driftedentity_repository_sync_id_4b70a835", "integrations_driftedentity", "repository_sync_id"),
    ("integrations_repositorysync_repository_id_1e3e28ba", "integrations_repositorysync", "repository_id"),
    ("integrations_repositorysync_sync_id_f8ec710f", "integrations_repositorysync", "sync_id"),
    ("integrations_streamcount_repository_sync_id_7c09d9b7", "integrations_streamcount", "repository_sync_id"),
    ("integrations_synclog_team_id_6e469a9c", "integrations_synclog", "team_id"),
    ("integrations_teamsync_sync_id_b6cb0e04", "integrations_teamsync", "sync_id"),
    ("integrations_teamsync_team_id_e8ad266c", "integrations_teamsync", "team_id"),
)


def drop(name: str, table: str, column: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
        reverse_sql=f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} ({column})",
    )


class Migration(migrations.Migration):
    atomic = False  # the indexes are dropped beside the work, not in its way

    dependencies = [
        ("activity", "0016_no_redundant_indexes"),
        ("integrations", "0020_backfills_of_a_repository_sync"),
        ("teams", "0006_no_redundant_indexes"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[drop(*index) for index in INDEXES],
            state_operations=[
                migrations.AlterField(
                    model_name="backfill",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="backfills",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="drift",
                    name="repository_sync",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="drifts",
                        to="integrations.repositorysync",
                    ),
                ),
                migrations.AlterField(
                    model_name="driftedentity",
                    name="repository_sync",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="drifted",
                        to="integrations.repositorysync",
                    ),
                ),
                migrations.AlterField(
                    model_name="repositorysync",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="syncs",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="repositorysync",
                    name="sync",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="repositories",
                        to="integrations.synclog",
                    ),
                ),
                migrations.AlterField(
                    model_name="streamcount",
                    name="repository_sync",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="counts",
                        to="integrations.repositorysync",
                    ),
                ),
                migrations.AlterField(
                    model_name="synclog",
                    name="team",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="teams.team",
                    ),
                ),
                migrations.AlterField(
                    model_name="teamsync",
                    name="sync",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="teams",
                        to="integrations.synclog",
                    ),
                ),
                migrations.AlterField(
                    model_name="teamsync",
                    name="team",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="syncs",
                        to="teams.team",
                    ),
                ),
            ],
        ),
    ]
