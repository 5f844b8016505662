from django.db import migrations, models


class Migration(migrations.Migration):
    """Two columns with constant defaults: no row is rewritten, and whoever does not know them yet goes on writing.

    What is known of a deployment stays where it is. Its groups begin without a stamp, so the next snapshot that tells
    of them is as good as what is there; neither a ref nor a flag ever changes.
    """

    dependencies = [
        ("activity", "0006_presumed_landing"),
    ]

    operations = [
        migrations.AddField(
            model_name="deployment",
            name="flags_stamp",
            field=models.TextField(blank=True, db_collation="C", db_default="", editable=False),
        ),
        migrations.AddField(
            model_name="deployment",
            name="ref_stamp",
            field=models.TextField(blank=True, db_collation="C", db_default="", editable=False),
        ),
    ]
