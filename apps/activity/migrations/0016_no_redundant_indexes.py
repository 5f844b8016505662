"""Drop the indexes of foreign keys that another index of their table begins with."""

import django.db.models.deletion
from django.db import migrations, models

INDEXES = (
    ("activity_commit_repository_id_5f28d239", "activity_commit", "repository_id"),
    ("activity_coverage_repository_id_5d47a4d2", "activity_coverage", "repository_id"),
    ("activity_deployment_repository_id_8c2138f5", "activity_deployment", "repository_id"),
    ("activity_gitreference_repository_id_37c390a0", "activity_gitreference", "repository_id"),
    ("activity_workflowrun_repository_id_5a5339e9", "activity_workflowrun", "repository_id"),
    ("activity_issue_repository_id_67dc67ba", "activity_issue", "repository_id"),
    ("activity_issuecomment_repository_id_e79483bd", "activity_issuecomment", "repository_id"),
    ("activity_pullrequest_repository_id_7e6c99a3", "activity_pullrequest", "repository_id"),
    ("activity_pullrequestcommit_repository_id_1d260752", "activity_pullrequestcommit", "repository_id"),
    ("activity_pullrequestevent_repository_id_9fb60648", "activity_pullrequestevent", "repository_id"),
    ("activity_push_repository_id_bdcc4738", "activity_push", "repository_id"),
    ("activity_repositoryaccess_installation_id_3b795574", "activity_repositoryaccess", "installation_id"),
    ("activity_review_repository_id_0d381d6b", "activity_review", "repository_id"),
    ("activity_reviewcomment_repository_id_2929f86b", "activity_reviewcomment", "repository_id"),
)


def drop(name: str, table: str, column: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
        reverse_sql=f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} ({column})",
    )


class Migration(migrations.Migration):
    atomic = False  # the indexes are dropped beside the work, not in its way

    dependencies = [
        ("activity", "0015_shipments"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[drop(*index) for index in INDEXES],
            state_operations=[
                migrations.AlterField(
                    model_name="commit",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="coverage",
                    name="repository",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="deployment",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deployments",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="gitreference",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="issue",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="issuecomment",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="pullrequest",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="pull_requests",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="pullrequestcommit",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="pullrequestevent",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="push",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="repositoryaccess",
                    name="installation",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="accesses",
                        to="activity.installation",
                    ),
                ),
                migrations.AlterField(
                    model_name="review",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="reviewcomment",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                migrations.AlterField(
                    model_name="workflowrun",
                    name="repository",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
    ]
