"""Who joined and left the teams on GitHub: so far, what is known of each account last."""

import django.db.models.deletion
from django.db import migrations, models

SO_FAR = """
    INSERT INTO activity_githubteamevent (team_id, contributor_id, at, is_member)
    SELECT scope_id, contributor_id, split_part(stamp, '|', 2)::timestamptz, is_member
    FROM activity_githubmembership WHERE scope = 'team' AND stamp <> ''
"""


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0009_assignees_index"),
    ]

    operations = [
        migrations.AlterField(
            model_name="change",
            name="kind",
            field=models.TextField(
                choices=[
                    ("pull_request", "Pull Request"),
                    ("branch", "Branch"),
                    ("commit", "Commit"),
                    ("deployment", "Deployment"),
                    ("workflow_run", "Workflow Run"),
                    ("release", "Release"),
                    ("reported_deployment", "Reported Deployment"),
                    ("issue", "Issue"),
                    ("reported_incident", "Reported Incident"),
                    ("incident", "Incident"),
                    ("incident_rules", "Incident Rules"),
                    ("deployment_rules", "Deployment Rules"),
                    ("remediation", "Remediation"),
                    ("contributor", "Contributor"),
                    ("installation", "Installation"),
                    ("github_team", "Github Team"),
                    ("team", "Team"),
                ]
            ),
        ),
        migrations.CreateModel(
            name="GitHubTeamEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("team_id", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("is_member", models.BooleanField()),
                (
                    "contributor",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="activity.contributor"
                    ),
                ),
            ],
            options={
                "verbose_name": "GitHub team event",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("team_id", "contributor", "at", "is_member"),
                        name="an_event_of_a_github_team_happened_once",
                    )
                ],
            },
        ),
        migrations.RunSQL(SO_FAR, migrations.RunSQL.noop),
    ]
