"""Deliveries that ran out of time, or that could not be recorded, are claimed apart from all others."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

MARK = """
UPDATE webhooks_delivery SET is_slow = true
WHERE state = 'failed' AND NOT state IN ('processed', 'ignored') AND reason IN ('timed_out', 'recording_failed')
"""


class Migration(migrations.Migration):
    atomic = False  # indexes are built while deliveries arrive

    dependencies = [("webhooks", "0005_lists_by_index")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="is_slow",
            field=models.BooleanField(
                db_default=False,
                help_text="timed out or could not be recorded: claimed alone, after all others",
            ),
        ),
        migrations.RunSQL(MARK, migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state__in", ["received", "failed"])),
                fields=["is_slow", "source", "not_before"],
                name="delivery_due",
            ),
        ),
        RemoveIndexConcurrently(model_name="delivery", name="delivery_next_due"),
    ]
