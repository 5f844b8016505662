from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns that are null or have a constant default: no row is rewritten, and a process of before goes on writing.

    The group begins without a stamp, so the first payload that tells of a stack is taken.
    """

    dependencies = [
        ("activity", "0011_place_of_commits"),
    ]

    operations = [
        migrations.AddField(
            model_name="pullrequest", name="stack_id", field=models.BigIntegerField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="pullrequest", name="stack_number", field=models.IntegerField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="pullrequest", name="stack_size", field=models.IntegerField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="pullrequest", name="stack_position", field=models.IntegerField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="pullrequest", name="stack_base_ref", field=models.TextField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="pullrequest", name="stack_base_sha", field=models.TextField(blank=True, null=True)
        ),
        migrations.AddField(
            model_name="pullrequest",
            name="stack_stamp",
            field=models.TextField(blank=True, db_collation="C", db_default="", editable=False),
        ),
    ]
