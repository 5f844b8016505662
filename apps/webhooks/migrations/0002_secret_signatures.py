from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_squashed_initial")]

    operations = [
        migrations.AddField(
            model_name="webhooksecret",
            name="handed_over_at",
            field=models.DateTimeField(
                blank=True, help_text="when GitHub was last asked to sign with it, unless it surely refused", null=True
            ),
        ),
        migrations.AddField(
            model_name="webhooksecret",
            name="proven_at",
            field=models.DateTimeField(blank=True, help_text="when it first signed a delivery", null=True),
        ),
        migrations.AddField(
            model_name="webhooksecret",
            name="signed_at",
            field=models.DateTimeField(blank=True, help_text="when it last signed one, to a few seconds", null=True),
        ),
        migrations.AddField(
            model_name="webhooksecret",
            name="finished_at",
            field=models.DateTimeField(
                blank=True,
                help_text="when the rotation to it ended: secrets that stayed then do not reopen it",
                null=True,
            ),
        ),
    ]
