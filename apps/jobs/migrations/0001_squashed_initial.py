import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("jobs", "0001_initial"), ("jobs", "0002_indexes_of_lists"), ("jobs", "0003_plan_time")]

    initial = True

    dependencies = [
        ("activity", "0001_squashed_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PlanTime",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("due_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField(help_text="what is done, such as read_stream")),
                ("key", models.TextField(help_text="what it is done to, such as an installation's id")),
                ("priority", models.SmallIntegerField(help_text="the smallest first, as at GitHub's rate limit")),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                            ("failed", "Failed"),
                        ],
                        db_default="waiting",
                    ),
                ),
                ("reason", models.TextField(blank=True, db_default="", help_text="why it waits or ended, as one word")),
                ("error", models.TextField(blank=True, db_default="", help_text="GitHub's words, or ours")),
                ("not_before", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "claim_number",
                    models.IntegerField(
                        db_default=0, help_text="only grows; a worker with another one changes nothing"
                    ),
                ),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("leased_by", models.TextField(blank=True, db_default="", help_text="the Celery task that is at it")),
                ("attempts", models.SmallIntegerField(db_default=0, help_text="failures since it last advanced")),
                (
                    "cursor",
                    models.TextField(blank=True, db_default="", help_text="where it goes on; empty at its start"),
                ),
                (
                    "page_size",
                    models.SmallIntegerField(db_default=1, help_text="how much GitHub is asked for at once; learned"),
                ),
                (
                    "clean_pages",
                    models.SmallIntegerField(db_default=0, help_text="pages since the size was last changed"),
                ),
                (
                    "skips_item",
                    models.BooleanField(
                        db_default=False, help_text="the one item at the cursor is too much: it is skipped"
                    ),
                ),
                ("restarts", models.SmallIntegerField(db_default=0, help_text="how often its cursor was void")),
                (
                    "total",
                    models.IntegerField(blank=True, help_text="how many there are, as far as GitHub says", null=True),
                ),
                ("items", models.IntegerField(db_default=0, help_text="how many were read")),
                ("pages", models.IntegerField(db_default=0)),
                ("calls", models.IntegerField(db_default=0, help_text="requests of GitHub's API")),
                ("points", models.IntegerField(db_default=0, help_text="what they cost of the hourly limits")),
                (
                    "skipped",
                    models.JSONField(blank=True, default=list, help_text="what GitHub could not show, with its words"),
                ),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("started_at", models.DateTimeField(blank=True, help_text="when it left its start", null=True)),
                (
                    "advanced_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="when it last kept something: the one that waited longest goes on",
                        null=True,
                    ),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "installation",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="whose access it reads with; empty for the App's own",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="activity.installation",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        models.F("kind"),
                        models.F("installation"),
                        models.OrderBy(models.F("advanced_at"), nulls_first=True),
                        models.F("id"),
                        condition=models.Q(("state__in", ["waiting", "running"])),
                        name="job_unfinished",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("state", "running"), models.Q(("reason", "busy"), ("state", "waiting")), _connector="OR"
                        ),
                        fields=["kind", "installation"],
                        name="job_at_work",
                    ),
                    models.Index(fields=["kind", "key", "-id"], name="job_of_key"),
                    models.Index(
                        condition=models.Q(("state", "done"), _negated=True),
                        fields=["state", "-id"],
                        name="job_of_state",
                    ),
                    models.Index(
                        condition=models.Q(("reason", ""), _negated=True),
                        fields=["reason", "-id"],
                        name="job_of_reason",
                    ),
                    models.Index(fields=["installation", "-id"], name="job_of_installation"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["waiting", "running", "paused"])),
                        fields=("kind", "key"),
                        name="of_a_kind_and_key_one_job_is_unfinished",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lease_until__isnull", False), ("state", "running")),
                            models.Q(models.Q(("state", "running"), _negated=True), ("lease_until", None)),
                            _connector="OR",
                        ),
                        name="a_job_holds_a_lease_exactly_while_it_runs",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at__isnull", False), ("state__in", ["done", "cancelled", "failed"])),
                            models.Q(("finished_at", None), ("state__in", ["waiting", "running", "paused"])),
                            _connector="OR",
                        ),
                        name="a_job_is_finished_exactly_in_its_last_states",
                    ),
                ],
            },
        ),
    ]
