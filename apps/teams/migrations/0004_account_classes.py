"""A rule says that an account is a human, an agent or a bot; there is a handful of them."""

from django.db import migrations, models

CLASSES = [("human", "Human"), ("agent", "Agent"), ("bot", "Bot")]
TO_CLASSES = "UPDATE teams_accountrule SET account_class = CASE WHEN is_bot THEN 'bot' ELSE 'human' END"
TO_FLAGS = "UPDATE teams_accountrule SET is_bot = account_class <> 'human'"


class Migration(migrations.Migration):
    dependencies = [("teams", "0003_deployments")]

    operations = [
        migrations.RenameModel("BotRule", "AccountRule"),
        migrations.AddField("AccountRule", "account_class", models.TextField(choices=CLASSES, default="bot")),
        migrations.RunSQL(TO_CLASSES, TO_FLAGS),
        migrations.AlterField("AccountRule", "account_class", models.TextField(choices=CLASSES)),
        migrations.AlterField("AccountRule", "is_bot", models.BooleanField(default=False)),
        migrations.RemoveField("AccountRule", "is_bot"),
        migrations.AlterField(
            "AccountRule",
            "contributor",
            models.OneToOneField(
                on_delete=models.deletion.PROTECT, related_name="account_rule", to="activity.contributor"
            ),
        ),
    ]
