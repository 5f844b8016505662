import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("activity", "0001_initial"),
        ("activity", "0002_find_by_commit"),
        ("activity", "0003_push_chain"),
        ("activity", "0004_commit_trailer"),
        ("activity", "0005_lost_access"),
        ("activity", "0006_presumed_landing"),
        ("activity", "0007_deployment_groups"),
        ("activity", "0008_find_unlisted"),
        ("activity", "0009_coverage_of_deliveries"),
        ("activity", "0010_find_open"),
        ("activity", "0011_place_of_commits"),
        ("activity", "0012_pull_request_stack"),
        ("activity", "0013_presumed_parents"),
        ("activity", "0014_deployments"),
        ("activity", "0015_shipments"),
        ("activity", "0016_no_redundant_indexes"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("pull_request", "Pull Request"),
                            ("branch", "Branch"),
                            ("commit", "Commit"),
                            ("deployment", "Deployment"),
                            ("workflow_run", "Workflow Run"),
                            ("release", "Release"),
                            ("deployment_rules", "Deployment Rules"),
                            ("remediation", "Remediation"),
                            ("contributor", "Contributor"),
                            ("installation", "Installation"),
                            ("team", "Team"),
                        ]
                    ),
                ),
                ("key", models.TextField()),
                ("recorded_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="Contributor",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("login", models.TextField(blank=True, db_default="")),
                (
                    "kind",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("user", "User"),
                            ("bot", "Bot"),
                            ("organization", "Organization"),
                            ("mannequin", "Mannequin"),
                        ],
                        db_default="",
                    ),
                ),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
            ],
            options={
                "indexes": [models.Index(django.db.models.functions.text.Lower("login"), name="contributor_by_login")],
            },
        ),
        migrations.CreateModel(
            name="GitHubTeam",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("slug", models.TextField(blank=True, db_default="")),
                ("name", models.TextField(blank=True, db_default="")),
                ("is_deleted", models.BooleanField(db_default=False)),
                ("is_verified", models.BooleanField(db_default=False)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
            ],
            options={
                "verbose_name": "GitHub team",
            },
        ),
        migrations.CreateModel(
            name="Installation",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("app_id", models.BigIntegerField(blank=True, null=True)),
                ("repository_selection", models.TextField(blank=True, null=True)),
                ("permissions", models.JSONField(blank=True, null=True)),
                ("events", models.JSONField(blank=True, null=True)),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("is_suspension_verified", models.BooleanField(db_default=True)),
                ("suspension_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("last_suspended_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("needs_listing_at", models.DateTimeField(blank=True, null=True)),
                ("listed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Provenance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("entity", models.TextField()),
                ("key", models.TextField()),
                ("source", models.TextField()),
                ("source_key", models.TextField()),
            ],
            options={
                "verbose_name_plural": "provenance",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("entity", "key", "source", "source_key"), name="one_row_per_entity_and_source"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Repository",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("full_name", models.TextField(blank=True, db_default="")),
                ("default_branch", models.TextField(blank=True, null=True)),
                ("is_private", models.BooleanField(null=True)),
                ("is_archived", models.BooleanField(db_default=False)),
                ("is_fork", models.BooleanField(db_default=False)),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("pushed_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "repositories",
            },
        ),
        migrations.CreateModel(
            name="Release",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("tag_name", models.TextField(blank=True, db_default="")),
                ("name", models.TextField(blank=True, db_default="")),
                ("is_draft", models.BooleanField(db_default=False)),
                ("is_prerelease", models.BooleanField(db_default=False)),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="activity.repository"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Push",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ref", models.TextField()),
                ("before_sha", models.TextField()),
                ("after_sha", models.TextField()),
                ("pushed_at", models.DateTimeField()),
                (
                    "commit_shas",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                (
                    "distinct_shas",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
                ),
                ("is_default_branch", models.SmallIntegerField(db_default=0)),
                ("is_forced", models.SmallIntegerField(db_default=0)),
                ("is_incomplete", models.SmallIntegerField(db_default=0)),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "pushes",
            },
        ),
        migrations.CreateModel(
            name="PullRequestEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("ready_for_review", "Ready For Review"),
                            ("converted_to_draft", "Converted To Draft"),
                            ("closed", "Closed"),
                            ("merged", "Merged"),
                            ("reopened", "Reopened"),
                            ("review_requested", "Review Requested"),
                            ("review_request_removed", "Review Request Removed"),
                            ("review_dismissed", "Review Dismissed"),
                            ("head_moved", "Head Moved"),
                            ("force_pushed", "Force Pushed"),
                            ("labeled", "Labeled"),
                            ("unlabeled", "Unlabeled"),
                            ("thread_resolved", "Thread Resolved"),
                            ("thread_unresolved", "Thread Unresolved"),
                        ]
                    ),
                ),
                ("subject", models.TextField(blank=True, db_default="")),
                ("at", models.DateTimeField()),
                ("source", models.TextField(choices=[("webhook", "Webhook"), ("api", "Api")])),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PullRequestCommit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("head_sha", models.TextField()),
                ("sha", models.TextField()),
                ("authored_at", models.DateTimeField(blank=True, null=True)),
                ("committed_at", models.DateTimeField(blank=True, null=True)),
                ("position", models.IntegerField(blank=True, null=True)),
                ("is_by_author", models.SmallIntegerField(blank=True, null=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PullRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("github_id", models.BigIntegerField(blank=True, null=True)),
                ("title", models.TextField(blank=True, db_default="")),
                (
                    "state",
                    models.TextField(blank=True, choices=[("open", "Open"), ("closed", "Closed")], db_default=""),
                ),
                ("is_draft", models.BooleanField(db_default=False)),
                ("author_association", models.TextField(blank=True, null=True)),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("updated_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("merged_at", models.DateTimeField(blank=True, null=True)),
                ("merge_sha", models.TextField(blank=True, null=True)),
                ("base_ref", models.TextField(blank=True, db_default="")),
                ("head_ref", models.TextField(blank=True, db_default="")),
                ("head_sha", models.TextField(blank=True, db_default="")),
                ("is_cross_repository", models.BooleanField(null=True)),
                ("core_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("additions", models.IntegerField(blank=True, null=True)),
                ("deletions", models.IntegerField(blank=True, null=True)),
                ("changed_files", models.IntegerField(blank=True, null=True)),
                ("commit_count", models.IntegerField(blank=True, null=True)),
                ("sizes_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "labels",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, null=True, size=None
                    ),
                ),
                ("labels_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("body", models.TextField(blank=True, db_default="")),
                ("text_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("stack_id", models.BigIntegerField(blank=True, null=True)),
                ("stack_number", models.IntegerField(blank=True, null=True)),
                ("stack_size", models.IntegerField(blank=True, null=True)),
                ("stack_position", models.IntegerField(blank=True, null=True)),
                ("stack_base_ref", models.TextField(blank=True, null=True)),
                ("stack_base_sha", models.TextField(blank=True, null=True)),
                ("stack_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("listed_head_sha", models.TextField(blank=True, db_default="")),
                ("listed_commit_count", models.IntegerField(blank=True, null=True)),
                ("commit_list_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "merged_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="pull_requests",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="IssueComment",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("number", models.IntegerField()),
                ("is_on_pull_request", models.BooleanField(null=True)),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Issue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("github_id", models.BigIntegerField(blank=True, null=True)),
                ("title", models.TextField(blank=True, db_default="")),
                ("state", models.TextField(blank=True, db_default="")),
                ("state_reason", models.TextField(blank=True, null=True)),
                (
                    "labels",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, null=True, size=None
                    ),
                ),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("updated_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="GitReference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField(choices=[("branch", "Branch"), ("tag", "Tag")])),
                ("name", models.TextField()),
                ("is_deleted", models.BooleanField(db_default=False)),
                ("is_verified", models.BooleanField(db_default=False)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DeploymentStatus",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("deployment_id", models.BigIntegerField()),
                ("state", models.TextField(blank=True, db_default="")),
                ("environment", models.TextField(blank=True, db_default="")),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "creator",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="activity.repository"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deployment statuses",
            },
        ),
        migrations.CreateModel(
            name="Deployment",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("sha", models.TextField(blank=True, db_default="")),
                ("environment", models.TextField(blank=True, db_default="")),
                ("task", models.TextField(blank=True, db_default="")),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("ref", models.TextField(blank=True, db_default="")),
                ("ref_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("is_production", models.BooleanField(null=True)),
                ("is_transient", models.BooleanField(null=True)),
                ("flags_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("run_id", models.BigIntegerField(blank=True, null=True)),
                ("run_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("run_attempt", models.IntegerField(blank=True, null=True)),
                ("job_name", models.TextField(blank=True, db_default="")),
                (
                    "creator",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deployments",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Coverage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stream", models.TextField()),
                ("from_at", models.DateTimeField()),
                ("to_at", models.DateTimeField()),
                (
                    "repository",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "coverage",
            },
        ),
        migrations.CreateModel(
            name="CommitTrailer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha", models.TextField()),
                ("token", models.TextField()),
                ("value", models.TextField()),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Commit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sha", models.TextField()),
                ("headline", models.TextField(blank=True, db_default="")),
                ("authored_at", models.DateTimeField(blank=True, null=True)),
                ("committed_at", models.DateTimeField(blank=True, null=True)),
                ("author_name", models.TextField(blank=True, db_default="")),
                ("author_email", models.TextField(blank=True, db_default="")),
                ("author_login", models.TextField(blank=True, db_default="")),
                ("is_date_clamped", models.BooleanField(db_default=False)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("parent_count", models.SmallIntegerField(blank=True, null=True)),
                ("presumed_parent_count", models.SmallIntegerField(blank=True, null=True)),
                ("landed_at", models.DateTimeField(blank=True, null=True)),
                ("presumed_landed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RepositoryAccess",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("has_access", models.BooleanField(db_default=False)),
                ("is_verified", models.BooleanField(db_default=False)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("lost_at", models.DateTimeField(blank=True, null=True)),
                (
                    "installation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="accesses",
                        to="activity.installation",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="accesses", to="activity.repository"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "repository access",
            },
        ),
        migrations.CreateModel(
            name="Review",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("number", models.IntegerField()),
                ("submitted_at", models.DateTimeField(blank=True, null=True)),
                ("commit_sha", models.TextField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "verdict",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("approved", "Approved"),
                            ("changes_requested", "Changes Requested"),
                            ("commented", "Commented"),
                        ],
                        null=True,
                    ),
                ),
                ("verdict_stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                ("dismissed_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ReviewComment",
            fields=[
                ("github_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("number", models.IntegerField()),
                ("review_id", models.BigIntegerField(blank=True, null=True)),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WorkflowRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("run_id", models.BigIntegerField()),
                ("attempt", models.IntegerField()),
                ("workflow_id", models.BigIntegerField(db_default=0)),
                ("name", models.TextField(blank=True, db_default="")),
                ("event", models.TextField(blank=True, db_default="")),
                ("status", models.TextField(blank=True, db_default="")),
                ("conclusion", models.TextField(blank=True, null=True)),
                ("head_branch", models.TextField(blank=True, null=True)),
                ("head_sha", models.TextField(blank=True, db_default="")),
                ("created_at", models.DateTimeField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("concluded_at", models.DateTimeField(blank=True, null=True)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "actor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="GitHubMembership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "scope",
                    models.TextField(
                        choices=[("organization", "Organization"), ("team", "Team"), ("repository", "Repository")]
                    ),
                ),
                ("scope_id", models.BigIntegerField()),
                ("is_member", models.BooleanField(db_default=False)),
                ("role", models.TextField(blank=True, null=True)),
                ("is_verified", models.BooleanField(db_default=False)),
                ("stamp", models.TextField(blank=True, db_collation="C", db_default="", editable=False)),
                (
                    "contributor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="activity.contributor"
                    ),
                ),
            ],
            options={
                "verbose_name": "GitHub membership",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("scope", "scope_id", "contributor"), name="one_membership_per_scope_and_account"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="repository",
            index=models.Index(django.db.models.functions.text.Lower("full_name"), name="repository_by_name"),
        ),
        migrations.AddIndex(
            model_name="push",
            index=django.contrib.postgres.indexes.GinIndex(fields=["commit_shas"], name="pushes_of_a_commit"),
        ),
        migrations.AddConstraint(
            model_name="push",
            constraint=models.UniqueConstraint(
                fields=("repository", "ref", "after_sha", "before_sha"), name="one_push_between_two_commits"
            ),
        ),
        migrations.AddConstraint(
            model_name="pullrequestevent",
            constraint=models.UniqueConstraint(
                fields=("repository", "number", "kind", "subject", "at", "source"),
                name="one_row_per_event_in_a_history",
            ),
        ),
        migrations.AddConstraint(
            model_name="pullrequestcommit",
            constraint=models.UniqueConstraint(
                fields=("repository", "number", "head_sha", "sha"), name="one_row_per_commit_of_a_head"
            ),
        ),
        migrations.AddIndex(
            model_name="pullrequest",
            index=models.Index(fields=["repository", "head_ref"], name="pull_request_by_head_ref"),
        ),
        migrations.AddIndex(
            model_name="pullrequest",
            index=models.Index(
                condition=models.Q(("merged_at__isnull", False)),
                fields=["repository", "base_ref", "merged_at"],
                name="merged_by_base_ref",
            ),
        ),
        migrations.AddIndex(
            model_name="pullrequest",
            index=models.Index(
                condition=models.Q(("merge_sha__isnull", False)),
                fields=["repository", "merge_sha"],
                name="pull_request_by_merge",
            ),
        ),
        migrations.AddIndex(
            model_name="pullrequest",
            index=models.Index(fields=["repository", "-updated_at"], name="pull_request_newest_first"),
        ),
        migrations.AddIndex(
            model_name="pullrequest",
            index=models.Index(
                condition=models.Q(("listed_head_sha", models.F("head_sha")), _negated=True),
                fields=["-updated_at"],
                name="pull_request_unlisted",
            ),
        ),
        migrations.AddIndex(
            model_name="pullrequest",
            index=models.Index(condition=models.Q(("state", "open")), fields=["repository"], name="pull_request_open"),
        ),
        migrations.AddConstraint(
            model_name="pullrequest",
            constraint=models.UniqueConstraint(fields=("repository", "number"), name="one_pull_request_per_number"),
        ),
        migrations.AddIndex(
            model_name="issuecomment",
            index=models.Index(fields=["repository", "number"], name="comments_of_one"),
        ),
        migrations.AddConstraint(
            model_name="issue",
            constraint=models.UniqueConstraint(fields=("repository", "number"), name="one_issue_per_number"),
        ),
        migrations.AddConstraint(
            model_name="gitreference",
            constraint=models.UniqueConstraint(fields=("repository", "kind", "name"), name="one_row_per_git_reference"),
        ),
        migrations.AddIndex(
            model_name="deploymentstatus",
            index=models.Index(fields=["deployment_id"], name="statuses_of_a_deployment"),
        ),
        migrations.AddIndex(
            model_name="deployment",
            index=models.Index(fields=["repository", "run_id", "environment"], name="deployments_of_a_run"),
        ),
        migrations.AddIndex(
            model_name="deployment",
            index=models.Index(
                condition=models.Q(("job_name", ""), _negated=True),
                fields=["repository", "environment", "run_id", "job_name"],
                name="deployments_of_jobs",
            ),
        ),
        migrations.AddIndex(
            model_name="deployment",
            index=models.Index(fields=["repository", "sha"], name="deployments_of_a_commit"),
        ),
        migrations.AddIndex(
            model_name="deployment",
            index=models.Index(fields=["repository", "created_at"], name="deployments_of_late"),
        ),
        migrations.AddIndex(
            model_name="coverage",
            index=models.Index(fields=["repository", "stream", "to_at"], name="coverage_of_a_stream"),
        ),
        migrations.AddConstraint(
            model_name="coverage",
            constraint=models.CheckConstraint(
                condition=models.Q(("from_at__lte", models.F("to_at"))), name="coverage_runs_forwards"
            ),
        ),
        migrations.AddConstraint(
            model_name="coverage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("repository", None), ("stream", "deliveries")),
                    models.Q(("repository__isnull", False), models.Q(("stream", "deliveries"), _negated=True)),
                    _connector="OR",
                ),
                name="coverage_is_of_a_repository_or_of_the_log_of_deliveries",
            ),
        ),
        migrations.AddConstraint(
            model_name="committrailer",
            constraint=models.UniqueConstraint(
                fields=("repository", "sha", "token", "value"), name="one_row_per_trailer_of_a_commit"
            ),
        ),
        migrations.AddIndex(
            model_name="commit",
            index=models.Index(django.db.models.functions.text.Lower("author_login"), name="commit_by_author_login"),
        ),
        migrations.AddConstraint(
            model_name="commit",
            constraint=models.UniqueConstraint(fields=("repository", "sha"), name="one_row_per_commit"),
        ),
        migrations.AddConstraint(
            model_name="repositoryaccess",
            constraint=models.UniqueConstraint(
                fields=("installation", "repository"), name="one_access_row_per_installation_and_repository"
            ),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(fields=["repository", "number"], name="reviews_of_a_pull_request"),
        ),
        migrations.AddIndex(
            model_name="reviewcomment",
            index=models.Index(fields=["repository", "number"], name="review_comments_of_one"),
        ),
        migrations.AddIndex(
            model_name="workflowrun",
            index=models.Index(fields=["repository", "head_sha"], name="runs_of_a_commit"),
        ),
        migrations.AddIndex(
            model_name="workflowrun",
            index=models.Index(
                condition=models.Q(("status", "completed"), _negated=True),
                fields=["repository", "created_at"],
                name="runs_not_over",
            ),
        ),
        migrations.AddConstraint(
            model_name="workflowrun",
            constraint=models.UniqueConstraint(fields=("run_id", "attempt"), name="one_row_per_attempt_of_a_run"),
        ),
    ]
