from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0012_pull_request_stack"),
    ]

    operations = [
        # Null by default: the table is not rewritten, however long it is.
        migrations.AddField(
            model_name="commit",
            name="presumed_parent_count",
            field=models.SmallIntegerField(blank=True, null=True),
        ),
    ]
