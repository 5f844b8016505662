"""Teams that are kept in step with those on GitHub that they were made of, and which memberships came from there."""

from django.db import migrations, models

SO_FAR = """
    UPDATE teams_teammember AS member SET is_from_github = true
    FROM teams_team AS team, activity_githubteamevent AS event
    WHERE member.team_id = team.id AND event.team_id = team.github_team_id AND event.is_member
      AND (event.contributor_id, event.at) = (member.contributor_id, member.from_at)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0010_github_team_events"),
        ("teams", "0006_invitations"),
    ]

    operations = [
        migrations.AddField(
            model_name="team",
            name="is_kept_in_step",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Everyone who joins or leaves the team on GitHub joins or leaves this one.",
                verbose_name="is kept in step",
            ),
        ),
        migrations.AddField(
            model_name="teammember",
            name="is_from_github",
            field=models.BooleanField(
                db_default=False, default=False, help_text="GitHub said so, and nobody changed it by hand since."
            ),
        ),
        migrations.RunSQL(SO_FAR, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="team",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_kept_in_step", False), ("github_team__isnull", False), _connector="OR"),
                name="only_teams_made_of_one_on_github_are_kept_in_step",
                violation_error_message="Only a team that was made of one on GitHub can be kept in step with it.",
            ),
        ),
    ]
