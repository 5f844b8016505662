from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0011_app_private_key_moves")]

    operations = [
        migrations.AlterField(
            model_name="backfill",
            name="stream",
            field=models.TextField(help_text="as apps.integrations.streams names it"),
        ),
    ]
