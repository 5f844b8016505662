"""Drop the indexes of foreign keys that another index of their table begins with."""

import django.db.models.deletion
from django.db import migrations, models

INDEXES = (
    ("teams_team_account_id_ed1ab43e", "teams_team", "account_id"),
    ("teams_teamaccess_team_id_e680fdaa", "teams_teamaccess", "team_id"),
    ("teams_teammember_team_id_09a01daf", "teams_teammember", "team_id"),
    ("teams_teamrepository_team_id_a04ce379", "teams_teamrepository", "team_id"),
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
        ("teams", "0005_shipments"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[drop(*index) for index in INDEXES],
            state_operations=[
                migrations.AlterField(
                    model_name="team",
                    name="account",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                migrations.AlterField(
                    model_name="teamaccess",
                    name="team",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="accesses",
                        to="teams.team",
                    ),
                ),
                migrations.AlterField(
                    model_name="teammember",
                    name="team",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="teams.team",
                    ),
                ),
                migrations.AlterField(
                    model_name="teamrepository",
                    name="team",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tracked",
                        to="teams.team",
                    ),
                ),
            ],
        ),
    ]
