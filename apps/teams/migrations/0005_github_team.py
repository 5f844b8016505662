"""The team on GitHub that a team was made of."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0009_assignees_index"),
        ("teams", "0004_working_time"),
    ]

    operations = [
        migrations.AddField(
            model_name="team",
            name="github_team",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="team",
                to="activity.githubteam",
            ),
        ),
    ]
