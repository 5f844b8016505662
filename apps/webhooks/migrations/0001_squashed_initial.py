import datetime

import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.datetime
from django.db import migrations, models

# Bodies lie in partitions by day, so that retention drops a day instead of deleting a million rows. A foreign key would
# lock the table of deliveries whenever a partition is dropped. lz4 costs the receiver a fraction of what pglz costs:
# where PostgreSQL was built without it, bodies are stored as they are.
BODIES = """
CREATE TABLE webhooks_deliverybody (
    delivery_id bigint NOT NULL,
    content bytea NOT NULL,
    headers jsonb NOT NULL,
    day date NOT NULL DEFAULT '9999-12-31',
    CONSTRAINT webhooks_deliverybody_pkey PRIMARY KEY (day, delivery_id)
) PARTITION BY RANGE (day);
DO $$
DECLARE first date := (statement_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    BEGIN
        ALTER TABLE webhooks_deliverybody ALTER COLUMN content SET COMPRESSION lz4;
    EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
        ALTER TABLE webhooks_deliverybody ALTER COLUMN content SET STORAGE EXTERNAL;
    END;
    CREATE TABLE webhooks_deliverybody_kept PARTITION OF webhooks_deliverybody
        FOR VALUES FROM ('9999-12-31') TO (MAXVALUE);
    CREATE TABLE webhooks_deliverybody_default PARTITION OF webhooks_deliverybody DEFAULT;
    FOR ahead IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF webhooks_deliverybody FOR VALUES FROM (%L) TO (%L)',
            'webhooks_deliverybody_' || to_char(first + ahead, 'YYYYMMDD'), first + ahead, first + ahead + 1
        );
    END LOOP;
END
$$
"""
DROP_BODIES = "DROP TABLE webhooks_deliverybody"
# Room on each page, so that another wake-up (notified_at is in no index) stays on it; and a vacuum that keeps up with
# the two updates that every delivery sees.
TUNE = """
ALTER TABLE webhooks_delivery SET (
    fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05
)
"""


class Migration(migrations.Migration):
    replaces = [
        ("webhooks", "0001_initial"),
        ("webhooks", "0002_storage"),
        ("webhooks", "0003_bodies_as_they_are"),
        ("webhooks", "0004_bodies_by_day"),
        ("webhooks", "0005_lists_by_index"),
        ("webhooks", "0006_slow_deliveries"),
        ("webhooks", "0007_other_bodies"),
        ("webhooks", "0008_deliveries_by_time"),
        ("webhooks", "0009_notified_at"),
        ("webhooks", "0010_no_redundant_indexes"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Refusal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("refused_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("status", models.SmallIntegerField()),
                ("reason", models.TextField()),
                ("count", models.IntegerField(help_text="number of rejected requests that this row stands for")),
                ("headers", models.JSONField(help_text="those on the allow-list, of the last request")),
                ("body_sha256", models.BinaryField(blank=True, max_length=32, null=True)),
                ("size", models.BigIntegerField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="WebhookSecret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("label", models.TextField(help_text="name")),
                ("slot", models.TextField(help_text="fingerprint that deliveries are stored with", unique=True)),
                ("encrypted_value", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "not_after",
                    models.DateTimeField(blank=True, help_text="stops being accepted at this time", null=True),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hook_id", models.BigIntegerField()),
                ("guid", models.UUIDField()),
                ("event", models.TextField()),
                ("action", models.TextField(blank=True, db_default="")),
                ("installation_id", models.BigIntegerField(blank=True, null=True)),
                ("repository_id", models.BigIntegerField(blank=True, null=True)),
                ("body_sha256", models.BinaryField(max_length=32)),
                ("size", models.IntegerField(help_text="bytes of the body")),
                ("source", models.SmallIntegerField(choices=[(0, "Webhook"), (1, "Api"), (2, "Replay")], db_default=0)),
                (
                    "signed_by",
                    models.TextField(blank=True, db_default="", help_text="fingerprint of the secret that signed it"),
                ),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("received", "Received"),
                            ("running", "Running"),
                            ("processed", "Processed"),
                            ("ignored", "Ignored"),
                            ("quarantined", "Quarantined"),
                            ("failed", "Failed"),
                            ("dead", "Dead"),
                        ],
                        db_default="received",
                    ),
                ),
                ("reason", models.TextField(blank=True, db_default="", help_text="why it is in this state")),
                ("error", models.TextField(blank=True, db_default="")),
                ("attempts", models.SmallIntegerField(db_default=0, help_text="attempts so far; a replay resets it")),
                (
                    "crashes",
                    models.SmallIntegerField(db_default=0, help_text="workers that crashed while they held it alone"),
                ),
                (
                    "claim_number",
                    models.IntegerField(
                        db_default=0,
                        help_text="raised by every claim; a worker with an older number cannot store a result",
                    ),
                ),
                ("is_claimed_alone", models.BooleanField(db_default=False)),
                (
                    "is_slow",
                    models.BooleanField(
                        db_default=False,
                        help_text="timed out or could not be recorded: claimed alone, after all others",
                    ),
                ),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("leased_by", models.TextField(blank=True, db_default="", help_text="the Celery task that holds it")),
                ("received_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "notified_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        help_text="when workers were last notified",
                    ),
                ),
                ("not_before", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("claimed_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("duplicates", models.IntegerField(db_default=0, help_text="how often its key arrived again")),
                (
                    "is_conflict",
                    models.BooleanField(db_default=False, help_text="its key arrived again with different content"),
                ),
                (
                    "is_replayed_body",
                    models.BooleanField(db_default=False, help_text="its body arrived before under another GUID"),
                ),
                (
                    "is_sanitised",
                    models.BooleanField(
                        db_default=False, help_text="characters that the database cannot store were replaced"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["received", "failed"])),
                        fields=["is_slow", "source", "not_before"],
                        name="delivery_due",
                    ),
                    models.Index(
                        django.db.models.functions.comparison.Coalesce("installation_id", 0),
                        models.F("source"),
                        models.F("not_before"),
                        condition=models.Q(("state__in", ["received", "failed"])),
                        name="delivery_due_by_installation",
                    ),
                    models.Index(
                        condition=models.Q(("state", "running")), fields=["lease_until"], name="delivery_running"
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ["processed", "ignored"]), _negated=True),
                        fields=["repository_id", "received_at"],
                        name="delivery_without_effect",
                    ),
                    models.Index(fields=["repository_id", "-id"], name="delivery_of_repository"),
                    models.Index(fields=["event", "-id"], name="delivery_of_event"),
                    models.Index(
                        condition=models.Q(("action", ""), _negated=True),
                        fields=["action", "-id"],
                        name="delivery_of_action",
                    ),
                    models.Index(fields=["installation_id", "-id"], name="delivery_of_installation"),
                    models.Index(
                        condition=models.Q(("state__in", ["received", "running"]), _negated=True),
                        fields=["state", "-id"],
                        name="delivery_by_state",
                    ),
                    models.Index(
                        condition=models.Q(("reason", ""), _negated=True),
                        fields=["reason", "-id"],
                        name="delivery_by_reason",
                    ),
                    models.Index(
                        condition=models.Q(("source", 0), _negated=True),
                        fields=["source", "-id"],
                        name="delivery_by_source",
                    ),
                    models.Index(
                        condition=models.Q(("is_conflict", True)), fields=["-id"], name="delivery_in_conflict"
                    ),
                    models.Index(
                        condition=models.Q(("is_replayed_body", True)),
                        fields=["-id"],
                        name="delivery_with_replayed_body",
                    ),
                    models.Index(condition=models.Q(("is_sanitised", True)), fields=["-id"], name="delivery_sanitised"),
                    django.contrib.postgres.indexes.HashIndex(fields=["body_sha256"], name="delivery_body_sha256"),
                    models.Index(fields=["received_at", "id"], name="delivery_by_time"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("guid", "hook_id"), name="a_delivery_has_one_row_per_hook_and_guid"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lease_until__isnull", False), ("state", "running")),
                            models.Q(models.Q(("state", "running"), _negated=True), ("lease_until", None)),
                            _connector="OR",
                        ),
                        name="a_delivery_holds_a_lease_exactly_while_it_runs",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("finished_at__isnull", False),
                                ("state__in", ["processed", "ignored", "quarantined", "dead"]),
                            ),
                            models.Q(("finished_at", None), ("state__in", ["received", "running", "failed"])),
                            _connector="OR",
                        ),
                        name="a_delivery_is_finished_exactly_in_its_last_states",
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            sql=BODIES,
            reverse_sql=DROP_BODIES,
            state_operations=[
                migrations.CreateModel(
                    name="DeliveryBody",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "day", "delivery_id", blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        (
                            "day",
                            models.DateField(
                                default=datetime.date(9999, 12, 31),
                                help_text="day of receipt, UTC; the last possible date for bodies kept longer",
                            ),
                        ),
                        ("content", models.BinaryField()),
                        ("headers", models.JSONField(help_text="only those on the allow-list")),
                        (
                            "delivery",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="webhooks.delivery",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "delivery bodies",
                    },
                )
            ],
        ),
        migrations.CreateModel(
            name="OtherBody",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("body_sha256", models.BinaryField(max_length=32)),
                ("content", models.BinaryField()),
                ("headers", models.JSONField()),
                ("attempts", models.SmallIntegerField(db_default=0)),
                (
                    "not_before",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True),
                ),
                (
                    "delivery",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="webhooks.delivery"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "other bodies",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("delivery", "body_sha256"), name="the_same_other_body_is_compared_once"
                    )
                ],
            },
        ),
        migrations.RunSQL(
            sql=TUNE,
            reverse_sql="",
        ),
    ]
