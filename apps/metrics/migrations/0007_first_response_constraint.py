from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the constraint is validated while rows are derived

    dependencies = [("metrics", "0006_review_requests")]

    operations = [
        AddConstraintNotValid(
            "derivedpullrequest",
            models.CheckConstraint(
                condition=models.Q(("first_response_seconds__gte", 0)), name="response_wait_is_never_negative"
            ),
        ),
        ValidateConstraint("derivedpullrequest", "response_wait_is_never_negative"),
    ]
