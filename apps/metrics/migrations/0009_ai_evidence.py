import django.db.models.deletion
from django.db import migrations, models

import apps.metrics.models.fields


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0002_assignees_and_trailers"),
        ("metrics", "0008_time_in_queue"),
    ]

    operations = [
        migrations.CreateModel(
            name="DerivedAIEvidence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                (
                    "kind",
                    models.TextField(
                        choices=[("authored", "Authored"), ("assisted", "Assisted"), ("reviewed", "Reviewed")]
                    ),
                ),
                (
                    "source",
                    models.TextField(
                        choices=[
                            ("author", "Author"),
                            ("reviewer", "Reviewer"),
                            ("trailer", "Trailer"),
                            ("description", "Description"),
                            ("label", "Label"),
                            ("branch", "Branch"),
                        ]
                    ),
                ),
                ("value", models.TextField(help_text="what stands there")),
                ("tool", models.TextField()),
                ("confidence", models.TextField(choices=[("high", "High"), ("medium", "Medium"), ("low", "Low")])),
                ("sha", models.TextField(blank=True, help_text="the first commit that has the trailer")),
                ("detector_version", models.SmallIntegerField()),
                (
                    "rules_version",
                    models.SmallIntegerField(default=apps.metrics.models.fields.current_rules, editable=False),
                ),
            ],
            options={
                "verbose_name": "AI evidence",
                "verbose_name_plural": "AI evidence",
            },
        ),
        migrations.AddField(
            model_name="derivedclosing",
            name="attributed_to",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="activity.contributor",
            ),
        ),
        migrations.AddField(
            model_name="derivedclosing",
            name="author_class",
            field=models.TextField(
                choices=[("human", "Human"), ("agent", "Agent"), ("bot", "Bot")], db_default="human"
            ),
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="attributed_to",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                help_text="the person who answers for what an agent opened",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="activity.contributor",
            ),
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="is_ai_assisted",
            field=models.BooleanField(db_default=False, help_text="a person opened it, and a tool took part"),
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="is_ai_reviewed",
            field=models.BooleanField(db_default=False, help_text="a tool reviewed it before it ended"),
        ),
        migrations.AddField(
            model_name="derivedshipment",
            name="attributed_to",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="activity.contributor",
            ),
        ),
        migrations.AddField(
            model_name="derivedshipment",
            name="author_class",
            field=models.TextField(
                choices=[("human", "Human"), ("agent", "Agent"), ("bot", "Bot")], db_default="human"
            ),
        ),
        migrations.AddField(
            model_name="derivedaievidence",
            name="repository",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="activity.repository",
            ),
        ),
        migrations.AddConstraint(
            model_name="derivedaievidence",
            constraint=models.UniqueConstraint(
                fields=("repository", "number", "kind", "source", "value"), name="one_row_per_piece_of_evidence"
            ),
        ),
    ]
