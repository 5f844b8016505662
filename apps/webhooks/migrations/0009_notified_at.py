from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0008_deliveries_by_time")]

    operations = [migrations.RenameField(model_name="delivery", old_name="rung_at", new_name="notified_at")]
