"""What teams want of their figures."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("metrics", "0011_rebuild_samples"),
        ("teams", "0004_working_time"),
    ]

    operations = [
        migrations.CreateModel(
            name="Goal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("figure", models.TextField(help_text="the key of the figure")),
                (
                    "direction",
                    models.CharField(choices=[("at_most", "At Most"), ("at_least", "At Least")], max_length=10),
                ),
                ("target", models.FloatField(help_text="in the unit of the figure, as its value in a week")),
                ("from_day", models.DateField(help_text="the first day")),
                (
                    "until_day",
                    models.DateField(blank=True, help_text="the day after the last one; empty for no end", null=True),
                ),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="goals", to="teams.team"
                    ),
                ),
            ],
            options={
                "ordering": ("team", "from_day", "id"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("until_day__isnull", True), ("from_day__lt", models.F("until_day")), _connector="OR"
                        ),
                        name="a_goal_ends_after_it_began",
                        violation_error_message="A goal must end after it began.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("target__gte", 0), ("target__lte", 1000000000000000.0)),
                        name="the_target_of_a_goal_is_a_number",
                        violation_error_message="The target must be a number, 0 or more.",
                    ),
                ],
            },
        ),
    ]
