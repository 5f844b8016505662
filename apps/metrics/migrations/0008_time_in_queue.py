from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the constraint is validated while rows are derived

    dependencies = [("metrics", "0007_first_response_constraint")]

    operations = [
        migrations.AddField(
            model_name="derivedpullrequest",
            name="queue_seconds",
            field=models.BigIntegerField(
                blank=True, help_text="in the merge queue; empty if it never was, or is not merged", null=True
            ),
        ),
        *(
            migrations.AddField(
                model_name="derivedpullrequest",
                name=name,
                field=ArrayField(base_field=models.DateTimeField(), blank=True, null=True, size=None),
            )
            for name in ("queue_starts", "queue_ends")
        ),
        migrations.AddField(
            model_name="derivedpullrequest",
            name="is_auto_merged",
            field=models.BooleanField(db_default=False, help_text="whether auto-merge was on when it was merged"),
        ),
        AddConstraintNotValid(
            model_name="derivedpullrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("queue_seconds__gte", 0)), name="time_in_the_queue_is_never_negative"
            ),
        ),
        ValidateConstraint("derivedpullrequest", "time_in_the_queue_is_never_negative"),
    ]
