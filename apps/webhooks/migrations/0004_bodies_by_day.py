"""Bodies lie in partitions by day, so that retention drops a day instead of deleting a million rows.

The table of before becomes the partition of the bodies that outlive their day: no row is copied. What takes long (an
index, a check of all rows) is done while deliveries come in; the step that locks the table only changes names.
"""

import datetime

import django.db.models.deletion
from django.db import migrations, models

# The table of deliveries would be locked whenever a partition with a foreign key is dropped.
DROP_FOREIGN_KEY = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'webhooks_deliverybody'::regclass AND contype = 'f'
    LOOP
        EXECUTE format('ALTER TABLE webhooks_deliverybody DROP CONSTRAINT %I', name);
    END LOOP;
END
$$
"""
ADD_FOREIGN_KEY = """
ALTER TABLE webhooks_deliverybody ADD CONSTRAINT webhooks_deliverybody_delivery_id_fk
    FOREIGN KEY (delivery_id) REFERENCES webhooks_delivery (id) DEFERRABLE INITIALLY DEFERRED
"""

# A constant default is kept once for all rows: nothing is rewritten.
ADD_DAY = "ALTER TABLE webhooks_deliverybody ADD COLUMN IF NOT EXISTS day date NOT NULL DEFAULT '9999-12-31'"
DROP_DAY = "ALTER TABLE webhooks_deliverybody DROP COLUMN day"

DROP_INVALID_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS webhooks_deliverybody_kept_pkey"
BUILD_INDEX = """
CREATE UNIQUE INDEX CONCURRENTLY webhooks_deliverybody_kept_pkey ON webhooks_deliverybody (day, delivery_id)
"""

# With this check PostgreSQL does not have to read the table when it becomes a partition.
CHECK = """
ALTER TABLE webhooks_deliverybody DROP CONSTRAINT IF EXISTS a_body_that_is_kept_has_the_last_day;
ALTER TABLE webhooks_deliverybody
    ADD CONSTRAINT a_body_that_is_kept_has_the_last_day CHECK (day = '9999-12-31') NOT VALID
"""
VALIDATE = "ALTER TABLE webhooks_deliverybody VALIDATE CONSTRAINT a_body_that_is_kept_has_the_last_day"
UNCHECK = "ALTER TABLE webhooks_deliverybody DROP CONSTRAINT a_body_that_is_kept_has_the_last_day"

PARTITION = """
BEGIN;
ALTER TABLE webhooks_deliverybody DROP CONSTRAINT webhooks_deliverybody_pkey;
ALTER TABLE webhooks_deliverybody RENAME TO webhooks_deliverybody_kept;
ALTER TABLE webhooks_deliverybody_kept
    ADD CONSTRAINT webhooks_deliverybody_kept_pkey PRIMARY KEY USING INDEX webhooks_deliverybody_kept_pkey;
CREATE TABLE webhooks_deliverybody (
    LIKE webhooks_deliverybody_kept INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION,
    CONSTRAINT webhooks_deliverybody_pkey PRIMARY KEY (day, delivery_id)
) PARTITION BY RANGE (day);
ALTER TABLE webhooks_deliverybody
    ATTACH PARTITION webhooks_deliverybody_kept FOR VALUES FROM ('9999-12-31') TO (MAXVALUE);
CREATE TABLE webhooks_deliverybody_default PARTITION OF webhooks_deliverybody DEFAULT;
DO $$
DECLARE first date := (statement_timestamp() AT TIME ZONE 'UTC')::date;
BEGIN
    FOR ahead IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF webhooks_deliverybody FOR VALUES FROM (%L) TO (%L)',
            'webhooks_deliverybody_' || to_char(first + ahead, 'YYYYMMDD'), first + ahead, first + ahead + 1
        );
    END LOOP;
END
$$;
COMMIT
"""
# The way back copies what came since; the bodies of before are where they were.
UNPARTITION = """
BEGIN;
ALTER TABLE webhooks_deliverybody DETACH PARTITION webhooks_deliverybody_kept;
INSERT INTO webhooks_deliverybody_kept (delivery_id, content, headers)
    SELECT delivery_id, content, headers FROM webhooks_deliverybody;
DROP TABLE webhooks_deliverybody;
ALTER TABLE webhooks_deliverybody_kept RENAME TO webhooks_deliverybody;
ALTER TABLE webhooks_deliverybody DROP CONSTRAINT webhooks_deliverybody_kept_pkey;
ALTER TABLE webhooks_deliverybody ADD CONSTRAINT webhooks_deliverybody_pkey PRIMARY KEY (delivery_id);
COMMIT
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("webhooks", "0003_bodies_as_they_are")]

    operations = [
        migrations.RunSQL(DROP_FOREIGN_KEY, ADD_FOREIGN_KEY),
        migrations.RunSQL(ADD_DAY, DROP_DAY),
        migrations.RunSQL(DROP_INVALID_INDEX, migrations.RunSQL.noop),
        migrations.RunSQL(BUILD_INDEX, migrations.RunSQL.noop),
        migrations.RunSQL(CHECK, migrations.RunSQL.noop),
        migrations.RunSQL(VALIDATE, UNCHECK),
        migrations.RunSQL(
            PARTITION,
            UNPARTITION,
            state_operations=[
                migrations.DeleteModel("DeliveryBody"),
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
                    options={"verbose_name_plural": "delivery bodies"},
                ),
            ],
        ),
    ]
