from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """The App's private key moves here from `integrations`, whose migration renames its table."""

    initial = True
    dependencies = [("integrations", "0001_app_private_key")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name="AppPrivateKey",
                    fields=[
                        ("app_id", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("encrypted_pem", models.BinaryField()),
                        ("stored_at", models.DateTimeField(db_default=Now())),
                    ],
                    options={
                        "verbose_name": "private key of the App",
                        "verbose_name_plural": "private keys of the App",
                        "ordering": ["-stored_at", "-app_id"],
                    },
                ),
            ],
        ),
    ]
