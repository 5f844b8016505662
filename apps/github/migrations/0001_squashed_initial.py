import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("github", "0001_initial")]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AppPrivateKey",
            fields=[
                ("app_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("encrypted_pem", models.BinaryField()),
                ("stored_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name": "private key of the App",
                "verbose_name_plural": "private keys of the App",
                "ordering": ["-stored_at", "-app_id"],
            },
        ),
    ]
