from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0005_lost_access"),
    ]

    operations = [
        # Null by default: the table is not rewritten, however long it is.
        migrations.AddField(
            model_name="commit",
            name="presumed_landed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
