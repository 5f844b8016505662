import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import apps.teams.models


class Migration(migrations.Migration):
    replaces = [
        ("teams", "0001_initial"),
        ("teams", "0002_sync_states_of_the_guide"),
        ("teams", "0003_deployments"),
        ("teams", "0004_account_classes"),
        ("teams", "0005_shipments"),
        ("teams", "0006_no_redundant_indexes"),
    ]

    initial = True

    dependencies = [
        ("activity", "0001_squashed_initial"),
        ("users", "0001_squashed_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="AccountRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_class", models.TextField(choices=[("human", "Human"), ("agent", "Agent"), ("bot", "Bot")])),
                (
                    "contributor",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="account_rule",
                        to="activity.contributor",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="DeploymentSource",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "pattern",
                    models.CharField(
                        blank=True,
                        help_text="A regular expression, in any case, found anywhere in the name. Empty: every name.",
                        max_length=500,
                        validators=[apps.teams.models.validate_expression],
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("deployments", "Deployments"),
                            ("workflow_runs", "Workflow Runs"),
                            ("releases", "Releases"),
                            ("merges", "Merges"),
                        ],
                        help_text="The pattern is that of the environment, the workflow's name, the release's tag, or the branch.",
                        max_length=20,
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        help_text="All repositories of this account. Without a repository and an account: all repositories.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="HotfixRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "pattern",
                    models.CharField(
                        blank=True,
                        help_text="A regular expression, in any case, found anywhere in the name. Empty: every name.",
                        max_length=500,
                        validators=[apps.teams.models.validate_expression],
                    ),
                ),
                (
                    "field",
                    models.CharField(
                        choices=[("branch", "Branch"), ("label", "Label"), ("title", "Title")],
                        default="branch",
                        max_length=20,
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        help_text="All repositories of this account. Without a repository and an account: all repositories.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="ServiceRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "pattern",
                    models.CharField(
                        blank=True,
                        help_text="A regular expression, in any case, found anywhere in the name. Empty: every name.",
                        max_length=500,
                        validators=[apps.teams.models.validate_expression],
                    ),
                ),
                (
                    "field",
                    models.CharField(
                        choices=[
                            ("environment", "Environment"),
                            ("workflow", "Workflow"),
                            ("task", "Task"),
                            ("job", "Job"),
                        ],
                        default="environment",
                        max_length=20,
                    ),
                ),
                (
                    "service",
                    models.CharField(
                        help_text="The name of the service; \\1 stands for the first group of the pattern.",
                        max_length=200,
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        help_text="All repositories of this account. Without a repository and an account: all repositories.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Team",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("slug", models.SlugField(max_length=100, unique=True)),
                (
                    "is_approved",
                    models.BooleanField(
                        default=True,
                        help_text="Accounts that are not in ALLOWED_ACCOUNTS need the approval of an operator.",
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(default="UTC", max_length=64, validators=[apps.teams.models.validate_time_zone]),
                ),
                (
                    "production_environments",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        blank=True,
                        default=list,
                        help_text="Names or patterns of the environments that count as production, in any case; * stands for any text. Empty: those that GitHub or their name calls production, prod or live.",
                        size=None,
                    ),
                ),
                (
                    "sync_frequency",
                    models.CharField(
                        choices=[("hourly", "Hourly"), ("daily", "Daily"), ("off", "Off")],
                        default="daily",
                        max_length=10,
                    ),
                ),
                (
                    "last_sync_status",
                    models.CharField(
                        choices=[
                            ("never", "Never"),
                            ("running", "Running"),
                            ("success", "Success"),
                            ("failed", "Failed"),
                        ],
                        default="never",
                        max_length=10,
                    ),
                ),
                ("last_sync_error", models.TextField(blank=True, default="")),
                ("last_synced_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="activity.contributor",
                    ),
                ),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="TeamAccess",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[("viewer", "Viewer"), ("admin", "Admin")], default="viewer", max_length=10
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="accesses",
                        to="teams.team",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="team_accesses",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "team accesses",
            },
        ),
        migrations.CreateModel(
            name="TeamMember",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("from_at", models.DateTimeField(blank=True, null=True)),
                ("until_at", models.DateTimeField(blank=True, null=True)),
                (
                    "contributor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to="activity.contributor",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="members",
                        to="teams.team",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TeamRepository",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="activity.repository"
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tracked",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "team repositories",
            },
        ),
        migrations.AddConstraint(
            model_name="team",
            constraint=models.UniqueConstraint(fields=("account",), name="one_team_tracks_an_account"),
        ),
        migrations.AddConstraint(
            model_name="teamaccess",
            constraint=models.UniqueConstraint(fields=("team", "user"), name="a_user_has_one_role_in_a_team"),
        ),
        migrations.AddConstraint(
            model_name="teammember",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("from_at__isnull", True),
                    ("until_at__isnull", True),
                    ("from_at__lt", models.F("until_at")),
                    _connector="OR",
                ),
                name="a_membership_ends_after_it_began",
            ),
        ),
        migrations.AddConstraint(
            model_name="teammember",
            constraint=models.UniqueConstraint(
                fields=("team", "contributor", "from_at"), name="a_membership_begins_once", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="teamrepository",
            constraint=models.UniqueConstraint(fields=("team", "repository"), name="a_team_tracks_a_repository_once"),
        ),
    ]
