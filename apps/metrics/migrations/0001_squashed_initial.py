import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
from django.db import migrations, models

import apps.metrics.models


class Migration(migrations.Migration):
    replaces = [
        ("metrics", "0001_initial"),
        ("metrics", "0002_unknown_rounds"),
        ("metrics", "0003_hourly_figures"),
        ("metrics", "0004_figures_from_indexes"),
        ("metrics", "0005_repository_freshness"),
        ("metrics", "0006_deployments"),
        ("metrics", "0007_account_classes"),
        ("metrics", "0008_open_and_rounds_by_index"),
        ("metrics", "0009_shipments"),
        ("metrics", "0010_stages"),
    ]

    initial = True

    dependencies = [
        ("activity", "0001_squashed_initial"),
        ("teams", "0001_squashed_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RepositoryFreshness",
            fields=[
                (
                    "repository",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="activity.repository",
                    ),
                ),
                ("version", models.BigIntegerField()),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "repository freshness",
            },
        ),
        migrations.CreateModel(
            name="TeamFreshness",
            fields=[
                (
                    "team",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="freshness",
                        serialize=False,
                        to="teams.team",
                    ),
                ),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "team freshness",
            },
        ),
        migrations.CreateModel(
            name="DerivedClosing",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("is_bot_author", models.BooleanField()),
                ("closed_at", models.DateTimeField()),
                ("reopened_at", models.DateTimeField(blank=True, null=True)),
                ("rules_version", models.SmallIntegerField(default=apps.metrics.models.current_rules, editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["repository", "closed_at"], name="closings_by_repository")],
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "number", "closed_at"), name="one_row_per_closing"),
                    models.CheckConstraint(
                        condition=models.Q(("reopened_at__gte", models.F("closed_at"))),
                        name="reopened_after_it_was_closed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DerivedCommit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha", models.TextField()),
                ("author_login", models.TextField(blank=True)),
                ("is_by_bot", models.BooleanField()),
                ("is_merge", models.BooleanField(null=True)),
                ("landed_at", models.DateTimeField()),
                ("rules_version", models.SmallIntegerField(default=apps.metrics.models.current_rules, editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["repository", "landed_at"],
                        include=("author", "is_by_bot", "is_merge"),
                        name="commits_by_repository",
                    ),
                    models.Index(
                        condition=models.Q(("author__isnull", False)), fields=["author"], name="commits_of_an_author"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "sha"), name="one_derived_row_per_commit")
                ],
            },
        ),
        migrations.CreateModel(
            name="DerivedDeployment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField(help_text="the group and the number in it")),
                ("group_key", models.TextField()),
                (
                    "source",
                    models.TextField(
                        choices=[
                            ("deployments", "Deployments"),
                            ("workflow_runs", "Workflow Runs"),
                            ("releases", "Releases"),
                            ("merges", "Merges"),
                        ],
                        default="deployments",
                    ),
                ),
                ("environment", models.TextField(blank=True)),
                ("service", models.TextField(blank=True, default="", help_text="empty for the repository itself")),
                (
                    "is_production",
                    models.BooleanField(help_text="by GitHub's flag or the name; a team may have rules of its own"),
                ),
                ("run_id", models.BigIntegerField(blank=True, null=True)),
                ("job_name", models.TextField(blank=True, default="")),
                (
                    "deployment_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                (
                    "last_deployment_id",
                    models.BigIntegerField(help_text="or the id of the run or release, or the number of the merge"),
                ),
                ("sha", models.TextField(blank=True)),
                (
                    "order_at",
                    models.DateTimeField(
                        blank=True, help_text="arrival of the commit on the default branch", null=True
                    ),
                ),
                (
                    "order_position",
                    models.IntegerField(blank=True, help_text="position in the push of that time", null=True),
                ),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("succeeded_at", models.DateTimeField(blank=True, null=True)),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
                ("rules_version", models.SmallIntegerField(default=apps.metrics.models.current_rules, editable=False)),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("succeeded_at__isnull", False)),
                        fields=["repository", "succeeded_at"],
                        name="succeeded_by_repository",
                    ),
                    models.Index(
                        condition=models.Q(("succeeded_at__isnull", False)),
                        fields=["repository", "service", "environment", "succeeded_at", "name"],
                        include=("order_at", "order_position"),
                        name="successes_of_a_service",
                    ),
                    models.Index(
                        condition=models.Q(("order_at__isnull", False)),
                        fields=["repository", "service", "environment"],
                        name="deployed_services",
                    ),
                    models.Index(
                        condition=models.Q(("failed_at__isnull", False)),
                        fields=["repository", "failed_at"],
                        name="failed_by_repository",
                    ),
                    models.Index(fields=["repository", "group_key"], name="derived_deployments_of_one"),
                    models.Index(
                        condition=models.Q(("job_name", ""), _negated=True),
                        fields=["repository", "environment", "job_name"],
                        name="deployed_by_job",
                    ),
                    django.contrib.postgres.indexes.GinIndex(fields=["deployment_ids"], name="group_of_a_deployment"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "name"), name="one_row_per_derived_deployment")
                ],
            },
        ),
        migrations.CreateModel(
            name="DerivedPullRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                (
                    "author_class",
                    models.TextField(
                        choices=[("human", "Human"), ("agent", "Agent"), ("bot", "Bot")], db_default="human"
                    ),
                ),
                ("is_bot_author", models.BooleanField(help_text="whether an agent or another bot opened it")),
                ("opened_at", models.DateTimeField()),
                ("is_opened_as_draft", models.BooleanField()),
                ("ready_at", models.DateTimeField(blank=True, null=True)),
                ("first_commit_at", models.DateTimeField(blank=True, null=True)),
                ("is_first_commit_adjusted", models.BooleanField()),
                ("first_review_at", models.DateTimeField(blank=True, null=True)),
                ("first_approval_at", models.DateTimeField(blank=True, null=True)),
                ("review_wait_ended_at", models.DateTimeField(blank=True, null=True)),
                ("merged_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "draft_starts",
                    django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(), size=None),
                ),
                (
                    "draft_ends",
                    django.contrib.postgres.fields.ArrayField(base_field=models.DateTimeField(null=True), size=None),
                ),
                ("is_draft", models.BooleanField()),
                ("cycle_seconds", models.BigIntegerField(blank=True, null=True)),
                ("first_review_seconds", models.BigIntegerField(blank=True, null=True)),
                ("size", models.BigIntegerField(blank=True, null=True)),
                (
                    "review_rounds",
                    models.IntegerField(
                        blank=True, help_text="empty if the pushes after a review are unknown", null=True
                    ),
                ),
                ("is_reviewed_in_draft", models.BooleanField()),
                ("is_reopened", models.BooleanField()),
                ("is_force_pushed", models.BooleanField()),
                ("merge_sha", models.TextField(blank=True, null=True)),
                (
                    "landed_at",
                    models.DateTimeField(blank=True, help_text="arrival of the merge on the default branch", null=True),
                ),
                ("coding_seconds", models.BigIntegerField(blank=True, null=True)),
                ("pickup_seconds", models.BigIntegerField(blank=True, null=True)),
                ("review_seconds", models.BigIntegerField(blank=True, null=True)),
                ("merge_seconds", models.BigIntegerField(blank=True, null=True)),
                ("rules_version", models.SmallIntegerField(default=apps.metrics.models.current_rules, editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("merged_at__isnull", False)),
                        fields=["repository", "merged_at"],
                        include=(
                            "author",
                            "is_bot_author",
                            "cycle_seconds",
                            "size",
                            "first_review_at",
                            "review_rounds",
                        ),
                        name="merged_by_repository",
                    ),
                    models.Index(fields=["repository", "opened_at"], name="opened_by_repository"),
                    models.Index(
                        condition=models.Q(("review_wait_ended_at__isnull", False)),
                        fields=["repository", "review_wait_ended_at"],
                        include=("author", "is_bot_author", "first_review_seconds", "is_reviewed_in_draft"),
                        name="review_waits_by_repository",
                    ),
                    models.Index(
                        models.F("repository"),
                        django.db.models.functions.comparison.Coalesce(
                            "closed_at",
                            django.db.models.functions.comparison.Cast(
                                models.Value("infinity"), models.DateTimeField()
                            ),
                        ),
                        models.F("opened_at"),
                        name="open_by_repository",
                    ),
                    models.Index(
                        condition=models.Q(("landed_at__isnull", False)),
                        fields=["repository", "landed_at"],
                        name="landed_by_repository",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "number"), name="one_derived_row_per_pull_request"),
                    models.CheckConstraint(
                        condition=models.Q(("cycle_seconds__gte", 0)), name="cycle_time_is_never_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("first_review_seconds__gte", 0)), name="review_wait_is_never_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("coding_seconds__gte", 0),
                            ("merge_seconds__gte", 0),
                            ("pickup_seconds__gte", 0),
                            ("review_seconds__gte", 0),
                        ),
                        name="a_stage_before_the_merge_is_never_negative",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DerivedRemediation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("remediation", models.TextField(help_text="name of the derived deployment that remedied")),
                ("failing", models.TextField(help_text="name of the derived deployment that was remedied")),
                ("service", models.TextField(blank=True)),
                ("environment", models.TextField(blank=True)),
                (
                    "source",
                    models.TextField(
                        choices=[
                            ("deployments", "Deployments"),
                            ("workflow_runs", "Workflow Runs"),
                            ("releases", "Releases"),
                            ("merges", "Merges"),
                        ]
                    ),
                ),
                ("is_production", models.BooleanField()),
                (
                    "kind",
                    models.TextField(choices=[("revert", "Revert"), ("rollback", "Rollback"), ("hotfix", "Hotfix")]),
                ),
                ("evidence", models.TextField()),
                ("failing_at", models.DateTimeField()),
                ("remediated_at", models.DateTimeField()),
                ("rules_version", models.SmallIntegerField(default=apps.metrics.models.current_rules, editable=False)),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["repository", "failing"], name="remediations_of_a_deployment"),
                    models.Index(fields=["repository", "remediated_at"], name="remediated_by_repository"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("repository", "remediation", "failing"), name="one_remediation_of_a_failing_deployment"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("remediated_at__gte", models.F("failing_at"))),
                        name="remediated_after_it_was_deployed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DerivedReview",
            fields=[
                (
                    "review",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="activity.review",
                    ),
                ),
                ("number", models.IntegerField()),
                ("submitted_at", models.DateTimeField()),
                ("verdict", models.TextField(blank=True, null=True)),
                ("is_by_bot", models.BooleanField()),
                ("is_by_author", models.BooleanField()),
                ("rules_version", models.SmallIntegerField(default=apps.metrics.models.current_rules, editable=False)),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["repository", "submitted_at"],
                        include=("reviewer", "is_by_bot", "is_by_author"),
                        name="submitted_by_repository",
                    ),
                    models.Index(fields=["repository", "number"], name="derived_reviews_of_one"),
                ],
            },
        ),
        migrations.CreateModel(
            name="DerivedShipment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("service", models.TextField(blank=True)),
                ("environment", models.TextField(blank=True)),
                (
                    "source",
                    models.TextField(
                        choices=[
                            ("deployments", "Deployments"),
                            ("workflow_runs", "Workflow Runs"),
                            ("releases", "Releases"),
                            ("merges", "Merges"),
                        ]
                    ),
                ),
                ("is_production", models.BooleanField()),
                ("deployment", models.TextField(help_text="name of the derived deployment")),
                ("is_bot_author", models.BooleanField()),
                ("merged_at", models.DateTimeField()),
                ("landed_at", models.DateTimeField()),
                ("deployed_at", models.DateTimeField()),
                (
                    "is_order_unknown",
                    models.BooleanField(
                        help_text="an earlier deployment may have had it: its commit is not known on the default branch"
                    ),
                ),
                ("lead_seconds", models.BigIntegerField(blank=True, null=True)),
                ("coding_seconds", models.BigIntegerField(blank=True, null=True)),
                ("pickup_seconds", models.BigIntegerField(blank=True, null=True)),
                ("review_seconds", models.BigIntegerField(blank=True, null=True)),
                ("merge_seconds", models.BigIntegerField(blank=True, null=True)),
                ("deploy_seconds", models.BigIntegerField(blank=True, null=True)),
                ("reverts_number", models.IntegerField(blank=True, null=True)),
                ("is_hotfix", models.BooleanField()),
                ("rules_version", models.SmallIntegerField(default=apps.metrics.models.current_rules, editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["repository", "deployed_at"], name="shipped_by_repository"),
                    models.Index(fields=["repository", "deployment"], name="shipments_of_a_deployment"),
                    models.Index(
                        condition=models.Q(("reverts_number__isnull", False)),
                        fields=["repository", "reverts_number"],
                        name="shipments_of_reverts",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("repository", "number", "service", "environment"), name="one_shipment_per_environment"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("coding_seconds__gte", 0),
                            ("deploy_seconds__gte", 0),
                            ("merge_seconds__gte", 0),
                            ("pickup_seconds__gte", 0),
                            ("review_seconds__gte", 0),
                        ),
                        name="a_stage_is_never_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "lead_seconds",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        django.db.models.expressions.CombinedExpression(
                                            django.db.models.expressions.CombinedExpression(
                                                models.F("coding_seconds"), "+", models.F("pickup_seconds")
                                            ),
                                            "+",
                                            models.F("review_seconds"),
                                        ),
                                        "+",
                                        models.F("merge_seconds"),
                                    ),
                                    "+",
                                    models.F("deploy_seconds"),
                                ),
                            )
                        ),
                        name="stages_sum_to_the_lead_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HourlyFigures",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField(help_text="full hour (UTC) of the computation")),
                ("computed_at", models.DateTimeField()),
                ("complete_until", models.DateTimeField(blank=True, help_text="empty if unverified", null=True)),
                ("figures", models.JSONField(help_text="value and number of entities by the key of the figure")),
                (
                    "team",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hourly_figures",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "hourly figures",
                "indexes": [
                    django.contrib.postgres.indexes.BrinIndex(
                        autosummarize=True, fields=["hour"], name="hourly_figures_by_hour"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("team", "hour"), name="one_row_of_figures_per_team_and_hour")
                ],
            },
        ),
    ]
