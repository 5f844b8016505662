"""The list of deliveries of a time is read in its order; the index is built while deliveries arrive."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("webhooks", "0007_other_bodies")]

    operations = [
        AddIndexConcurrently("delivery", models.Index(fields=["received_at", "id"], name="delivery_by_time")),
        RemoveIndexConcurrently("delivery", "delivery_received_at"),
    ]
