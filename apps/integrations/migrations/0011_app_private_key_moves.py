from django.db import migrations


class Migration(migrations.Migration):
    """The App's private key moves to the app `github`: its table is renamed, which takes a moment, and keeps its rows."""

    dependencies = [("integrations", "0010_thorough_runs"), ("github", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.AlterModelTable("AppPrivateKey", "github_appprivatekey")],
            state_operations=[migrations.DeleteModel("AppPrivateKey")],
        ),
    ]
