import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("integrations", "0001_app_private_key"),
        ("integrations", "0002_backfill"),
        ("integrations", "0003_listing"),
        ("integrations", "0004_enrichment"),
        ("integrations", "0005_reconciliation"),
        ("integrations", "0006_delivery_sweep"),
        ("integrations", "0007_drifted_entities"),
        ("integrations", "0008_runs"),
        ("integrations", "0009_sync_states_of_the_guide"),
        ("integrations", "0010_thorough_runs"),
        ("integrations", "0011_app_private_key_moves"),
        ("integrations", "0012_streams_are_registered"),
        ("integrations", "0013_jobs"),
        ("integrations", "0014_runs_hold_no_lease"),
        ("integrations", "0015_repositories_of_runs_are_jobs"),
        ("integrations", "0016_notified_at"),
        ("integrations", "0017_refresh_failure"),
        ("integrations", "0018_recovery_sources"),
        ("integrations", "0019_fan_out"),
        ("integrations", "0020_backfills_of_a_repository_sync"),
        ("integrations", "0021_no_redundant_indexes"),
    ]

    initial = True

    dependencies = [
        ("activity", "0001_squashed_initial"),
        ("jobs", "0001_squashed_initial"),
        ("teams", "0001_squashed_initial"),
        ("webhooks", "0001_squashed_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeliveryLogScan",
            fields=[
                (
                    "job_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="jobs.job",
                    ),
                ),
                ("app_id", models.BigIntegerField(unique=True)),
                (
                    "hook_id",
                    models.BigIntegerField(
                        blank=True, help_text="the App's own webhook, as GitHub names it", null=True
                    ),
                ),
                (
                    "mark",
                    models.DateTimeField(
                        blank=True, help_text="up to here the log was read whole, by GitHub's clock", null=True
                    ),
                ),
                (
                    "covered_until",
                    models.DateTimeField(
                        blank=True, help_text="up to here all of it is in the inbox, or known to be a gap", null=True
                    ),
                ),
                (
                    "began_at",
                    models.DateTimeField(blank=True, help_text="when the reading began, by GitHub's clock", null=True),
                ),
                (
                    "reached_at",
                    models.DateTimeField(blank=True, help_text="how far back the reading has come", null=True),
                ),
                (
                    "read_due_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), help_text="when the log is read again"
                    ),
                ),
                (
                    "read_at",
                    models.DateTimeField(blank=True, help_text="when it was last read whole, by our clock", null=True),
                ),
                (
                    "planned_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), help_text="when it was last planned"
                    ),
                ),
                (
                    "truncated_at",
                    models.DateTimeField(
                        blank=True, help_text="when the log did not reach down to the mark", null=True
                    ),
                ),
                (
                    "truncated_from",
                    models.DateTimeField(blank=True, help_text="from here it was not there any more", null=True),
                ),
                ("truncated_to", models.DateTimeField(blank=True, help_text="to here", null=True)),
            ],
            bases=("jobs.job",),
        ),
        migrations.CreateModel(
            name="SyncLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "sync_id",
                    models.TextField(help_text="the period, such as nightly:2026-03-02, or the request", unique=True),
                ),
                (
                    "cause",
                    models.TextField(
                        choices=[("nightly", "Nightly"), ("scheduled", "Scheduled"), ("manual", "Manual")]
                    ),
                ),
                (
                    "scope",
                    models.TextField(
                        blank=True,
                        db_default="",
                        help_text="what it compares, such as nightly, team:5 or repositories:7,8",
                    ),
                ),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                        ],
                        db_default="waiting",
                    ),
                ),
                ("error", models.TextField(blank=True, db_default="")),
                (
                    "accepts_mass_deletions",
                    models.BooleanField(
                        db_default=False, help_text="what GitHub has no more is marked as deleted, however much it is"
                    ),
                ),
                (
                    "is_thorough",
                    models.BooleanField(
                        db_default=False,
                        help_text="what changes without a trace is compared in every repository, not only in those that are due",
                    ),
                ),
                (
                    "is_fanned_out",
                    models.BooleanField(db_default=False, help_text="each of its repositories has a row"),
                ),
                ("not_before", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "team",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="RepositorySync",
            fields=[
                (
                    "job_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="jobs.job",
                    ),
                ),
                (
                    "probed_at",
                    models.DateTimeField(
                        blank=True, help_text="by GitHub's clock; empty until it was probed", null=True
                    ),
                ),
                ("marks", models.JSONField(blank=True, default=dict, help_text="what the probe showed of each stream")),
                (
                    "differs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        blank=True,
                        default=list,
                        help_text="the streams that are read",
                        size=None,
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="syncs",
                        to="activity.repository",
                    ),
                ),
                (
                    "sync",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="repositories",
                        to="integrations.synclog",
                    ),
                ),
            ],
            bases=("jobs.job",),
        ),
        migrations.CreateModel(
            name="TeamSync",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.TextField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("success", "Success"),
                            ("failed", "Failed"),
                        ],
                        db_default="waiting",
                    ),
                ),
                (
                    "error",
                    models.TextField(blank=True, db_default="", help_text="what is wrong, for the team's admins"),
                ),
                (
                    "repository_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        blank=True,
                        default=list,
                        help_text="what it tracked, and could be read, at the start",
                        size=None,
                    ),
                ),
                (
                    "notified_at",
                    models.DateTimeField(blank=True, help_text="when workers were last notified", null=True),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "sync",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="teams",
                        to="integrations.synclog",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="syncs",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="MissedDelivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hook_id", models.BigIntegerField()),
                ("guid", models.UUIDField()),
                ("log_id", models.BigIntegerField(help_text="the newest attempt at it in GitHub's log")),
                ("delivered_at", models.DateTimeField(help_text="the oldest attempt that was seen, by GitHub's clock")),
                ("status_code", models.SmallIntegerField(help_text="what GitHub says we answered; 0 for nothing")),
                ("event", models.TextField()),
                ("action", models.TextField(blank=True, db_default="")),
                ("installation_id", models.BigIntegerField(blank=True, null=True)),
                ("repository_id", models.BigIntegerField(blank=True, null=True)),
                (
                    "has_effect",
                    models.BooleanField(help_text="whether its event is not on the list of those that are ignored"),
                ),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("asked", "Asked"),
                            ("kept", "Kept"),
                            ("given_up", "Given Up"),
                        ],
                        db_default="waiting",
                    ),
                ),
                (
                    "recovery_source",
                    models.TextField(
                        blank=True,
                        choices=[("fetched", "Fetched"), ("redelivered", "Redelivered"), ("arrived", "Arrived")],
                        db_default="",
                        help_text="what brought it into the inbox",
                    ),
                ),
                (
                    "uses_fallback",
                    models.BooleanField(db_default=False, help_text="the way that SCAN_REDELIVERS names has failed"),
                ),
                (
                    "asks",
                    models.SmallIntegerField(db_default=0, help_text="how often GitHub was asked to deliver it again"),
                ),
                ("attempts", models.SmallIntegerField(db_default=0, help_text="attempts in the present way")),
                ("not_before", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("reason", models.TextField(blank=True, db_default="", help_text="why it is not here, as one word")),
                ("error", models.TextField(blank=True, db_default="", help_text="GitHub's words")),
                (
                    "is_counted",
                    models.BooleanField(
                        db_default=False, help_text="a reconciliation run has counted it in its recovery_sources"
                    ),
                ),
                ("noted_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("kept_at", models.DateTimeField(blank=True, null=True)),
                (
                    "delivery",
                    models.ForeignKey(
                        blank=True,
                        help_text="where it is kept",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="webhooks.delivery",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "missed deliveries",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "kept"), _negated=True), fields=["not_before"], name="missed_open"
                    ),
                    models.Index(
                        condition=models.Q(("has_effect", True)), fields=["delivered_at"], name="missed_delivered"
                    ),
                    models.Index(
                        condition=models.Q(("is_counted", False), ("state", "kept")),
                        fields=["repository_id"],
                        name="missed_uncounted",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("hook_id", "guid"), name="a_missed_delivery_has_one_row_per_hook_and_guid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("kept_at__isnull", False),
                                ("state", "kept"),
                                models.Q(("recovery_source", ""), _negated=True),
                            ),
                            models.Q(models.Q(("state", "kept"), _negated=True), ("kept_at", None)),
                            _connector="OR",
                        ),
                        name="a_missed_delivery_has_a_recovery_source_exactly_when_it_is_kept",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RefreshFailure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("head_sha", models.TextField()),
                ("attempts", models.SmallIntegerField()),
                (
                    "not_before",
                    models.DateTimeField(
                        blank=True, help_text="when it is tried again; empty when given up", null=True
                    ),
                ),
                ("reason", models.TextField(blank=True, db_default="", help_text="GitHub's words, or ours")),
                ("tried_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("repository", "number"), name="one_refresh_failure_per_pull_request"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DriftedEntity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stream", models.TextField()),
                ("entity", models.TextField(help_text="its kind, as in its provenance")),
                ("key", models.TextField(help_text="GitHub's id, or what names it within its repository")),
                (
                    "finding",
                    models.TextField(choices=[("missing", "Missing"), ("stale", "Stale"), ("deleted", "Deleted")]),
                ),
                (
                    "repository_sync",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="drifted",
                        to="integrations.repositorysync",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "drifted entities",
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("repository_sync", "entity", "key"), name="an_entity_drifted_once_in_a_sync"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Drift",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stream", models.TextField()),
                ("checked", models.IntegerField(db_default=0, help_text="entities that GitHub showed")),
                ("missing", models.IntegerField(db_default=0, help_text="those of them that we had not")),
                ("stale", models.IntegerField(db_default=0, help_text="those that we had otherwise")),
                ("repaired", models.IntegerField(db_default=0, help_text="missing or stale ones that are right now")),
                ("deleted", models.IntegerField(db_default=0, help_text="those that we had and GitHub has no more")),
                (
                    "recovery_sources",
                    models.JSONField(
                        blank=True, default=dict, help_text="how many of the missing ones each source brought"
                    ),
                ),
                (
                    "repository_sync",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="drifts",
                        to="integrations.repositorysync",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("repository_sync", "stream"), name="one_drift_per_stream_of_a_sync")
                ],
            },
        ),
        migrations.CreateModel(
            name="Backfill",
            fields=[
                (
                    "job_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="jobs.job",
                    ),
                ),
                ("stream", models.TextField(help_text="as apps.integrations.streams names it")),
                (
                    "since",
                    models.DateTimeField(
                        blank=True, help_text="only what was updated since; empty for everything", null=True
                    ),
                ),
                ("until", models.DateTimeField(blank=True, help_text="nothing that was created later", null=True)),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="backfills",
                        to="activity.repository",
                    ),
                ),
                (
                    "sync",
                    models.ForeignKey(
                        blank=True,
                        help_text="the reconciliation that it is a part of; its drift is counted there",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="backfills",
                        to="integrations.repositorysync",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["repository", "-job_ptr"], name="backfill_of_repository")],
            },
            bases=("jobs.job",),
        ),
        migrations.CreateModel(
            name="StreamCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stream", models.TextField()),
                (
                    "outcome",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("agrees", "Agrees"),
                            ("settled", "Settled"),
                            ("short", "Short"),
                            ("mass", "Mass"),
                            ("unsteady", "Unsteady"),
                            ("too_long", "Too Long"),
                            ("shut", "Shut"),
                        ],
                        db_default="",
                        help_text="empty while it continues",
                    ),
                ),
                ("counted_at", models.DateTimeField(blank=True, help_text="by GitHub's clock", null=True)),
                (
                    "theirs",
                    models.IntegerField(
                        blank=True, help_text="how many GitHub has, leaving out the latest minute", null=True
                    ),
                ),
                (
                    "ours",
                    models.IntegerField(
                        blank=True, help_text="how many of the same time are here, not deleted", null=True
                    ),
                ),
                (
                    "place",
                    models.JSONField(blank=True, default=dict, help_text="where the search is; empty once it is over"),
                ),
                (
                    "repository_sync",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="counts",
                        to="integrations.repositorysync",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(fields=("repository_sync", "stream"), name="a_sync_counts_a_stream_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="StreamMark",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stream", models.TextField()),
                ("mark", models.JSONField(help_text="such as a count and the latest time")),
                (
                    "passed_at",
                    models.DateTimeField(help_text="when the pass began that showed this, by GitHub's clock"),
                ),
                (
                    "reread_at",
                    models.DateTimeField(
                        blank=True, help_text="when what may change without a trace was read the last time", null=True
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="activity.repository",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "stream"), name="one_mark_per_stream_of_a_repository")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="synclog",
            index=models.Index(
                condition=models.Q(("status__in", ["waiting", "running"])),
                fields=["not_before"],
                name="sync_unfinished",
            ),
        ),
        migrations.AddIndex(
            model_name="synclog",
            index=models.Index(fields=["team", "-id"], name="sync_of_team"),
        ),
        migrations.AddConstraint(
            model_name="synclog",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["waiting", "running"]), models.Q(("scope", ""), _negated=True)),
                fields=("scope",),
                name="a_scope_has_one_unfinished_sync",
            ),
        ),
        migrations.AddConstraint(
            model_name="synclog",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", False), ("status__in", ["completed", "failed"])),
                    models.Q(("finished_at", None), ("status__in", ["waiting", "running"])),
                    _connector="OR",
                ),
                name="a_sync_is_finished_exactly_in_its_last_states",
            ),
        ),
        migrations.AddIndex(
            model_name="repositorysync",
            index=models.Index(fields=["repository", "-job_ptr"], name="repository_sync_of_repository"),
        ),
        migrations.AddConstraint(
            model_name="repositorysync",
            constraint=models.UniqueConstraint(fields=("sync", "repository"), name="a_sync_looks_at_a_repository_once"),
        ),
        migrations.AddIndex(
            model_name="teamsync",
            index=models.Index(
                condition=models.Q(("status__in", ["waiting", "running"])), fields=["sync"], name="team_sync_unfinished"
            ),
        ),
        migrations.AddIndex(
            model_name="teamsync",
            index=models.Index(fields=["team", "-id"], name="team_sync_of_team"),
        ),
        migrations.AddConstraint(
            model_name="teamsync",
            constraint=models.UniqueConstraint(fields=("sync", "team"), name="a_team_is_in_a_sync_once"),
        ),
        migrations.AddConstraint(
            model_name="teamsync",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", False), ("status__in", ["success", "failed"])),
                    models.Q(("finished_at", None), ("status__in", ["waiting", "running"])),
                    _connector="OR",
                ),
                name="a_team_sync_is_finished_exactly_in_its_last_states",
            ),
        ),
    ]
