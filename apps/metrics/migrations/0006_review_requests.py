import django.db.models.deletion
from django.db import migrations, models

import apps.metrics.models.fields


class Migration(migrations.Migration):
    dependencies = [("activity", "0008_review_and_copy_indexes"), ("metrics", "0005_incidents")]

    operations = [
        migrations.CreateModel(
            name="DerivedReviewRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("subject", models.TextField(help_text="the id of an account, or `team:` and that of a team")),
                ("is_bot_reviewer", models.BooleanField()),
                ("requested_at", models.DateTimeField()),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True)),
                ("answer_seconds", models.BigIntegerField(blank=True, null=True)),
                (
                    "rules_version",
                    models.SmallIntegerField(default=apps.metrics.models.fields.current_rules, editable=False),
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
                        condition=models.Q(("answered_at__isnull", False)),
                        fields=["repository", "answered_at"],
                        include=("reviewer", "is_bot_reviewer", "answer_seconds"),
                        name="answers_by_repository",
                    ),
                    models.Index(fields=["repository", "requested_at"], name="requests_by_repository"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("repository", "number", "subject", "requested_at"), name="one_row_per_review_request"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("answer_seconds__gte", 0)), name="an_answer_is_after_its_request"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("answered_at__isnull", True), ("withdrawn_at__isnull", True), _connector="OR"
                        ),
                        name="a_withdrawn_request_has_no_answer",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="first_response_at",
            field=models.DateTimeField(blank=True, help_text="the first review or comment", null=True),
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="response_wait_ended_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="first_response_seconds",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="is_cherry_picked",
            field=models.BooleanField(db_default=False, help_text="a commit of it is a copy of one that landed"),
        ),
    ]
