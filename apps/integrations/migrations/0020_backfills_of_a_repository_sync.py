import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0019_fan_out"),
    ]

    operations = [
        migrations.AlterField(
            model_name="backfill",
            name="sync",
            field=models.ForeignKey(
                blank=True,
                help_text="the reconciliation that it is a part of; its drift is counted there",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="backfills",
                to="integrations.repositorysync",
            ),
        ),
        migrations.AlterField(
            model_name="streamcount",
            name="outcome",
            field=models.TextField(
                blank=True,
                choices=[
                    ("agrees", "Agrees"),
                    ("settled", "Settled"),
                    ("short", "Short"),
                    ("mass", "Mass"),
                    ("unsteady", "Unsteady"),
                    ("too_long", "Too Long"),
                    ("shut", "Shut"),
                ],
                db_default="",
                help_text="empty while it continues",
            ),
        ),
    ]
