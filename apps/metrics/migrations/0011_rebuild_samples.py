"""What is derived again every night, and what differed."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("activity", "0008_review_and_copy_indexes"), ("metrics", "0010_ai_evidence_from_index")]

    operations = [
        migrations.CreateModel(
            name="RebuildSample",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("night", models.DateField(unique=True)),
                (
                    "waiting",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        blank=True,
                        default=list,
                        help_text="repositories that are still to be compared",
                        size=None,
                    ),
                ),
                ("repositories", models.IntegerField(db_default=0, help_text="how many were compared")),
                ("skipped", models.IntegerField(db_default=0, help_text="how many could not be compared")),
                ("compared", models.IntegerField(db_default=0, help_text="how many entities were derived again")),
                ("started_at", models.DateTimeField(db_default=Now())),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={"ordering": ("-night",)},
        ),
        migrations.CreateModel(
            name="RebuildDifference",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("description", models.TextField()),
                (
                    "settled_at",
                    models.DateTimeField(blank=True, help_text="when the repository was rebuilt", null=True),
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
                (
                    "sample",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="differences",
                        to="metrics.rebuildsample",
                    ),
                ),
            ],
        ),
    ]
