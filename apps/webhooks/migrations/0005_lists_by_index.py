"""Indexes for the lists of deliveries (API and admin), built while deliveries come in; none of them scans the inbox."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# A search by GUID alone is served by the index of the key once the GUID comes first in it.
INDEXES = (
    models.Index(fields=["event", "-id"], name="delivery_of_event"),
    models.Index(fields=["action", "-id"], name="delivery_of_action", condition=~models.Q(action="")),
    models.Index(fields=["installation_id", "-id"], name="delivery_of_installation"),
    models.Index(
        fields=["state", "-id"], name="delivery_by_state", condition=~models.Q(state__in=["received", "running"])
    ),
    models.Index(fields=["reason", "-id"], name="delivery_by_reason", condition=~models.Q(reason="")),
    models.Index(fields=["source", "-id"], name="delivery_by_source", condition=~models.Q(source=0)),
    models.Index(fields=["-id"], name="delivery_in_conflict", condition=models.Q(is_conflict=True)),
    models.Index(fields=["-id"], name="delivery_with_replayed_body", condition=models.Q(is_replayed_body=True)),
    models.Index(fields=["-id"], name="delivery_sanitised", condition=models.Q(is_sanitised=True)),
)
NAME = "a_delivery_has_one_row_per_hook_and_guid"


def build(columns: str) -> list[str]:
    """Return the statements that replace the key's index by one of these columns; a half-built one is thrown away."""
    return [
        "DROP INDEX CONCURRENTLY IF EXISTS webhooks_delivery_new_key",
        f"CREATE UNIQUE INDEX CONCURRENTLY webhooks_delivery_new_key ON webhooks_delivery ({columns})",
        f"ALTER TABLE webhooks_delivery DROP CONSTRAINT {NAME}, "
        f"ADD CONSTRAINT {NAME} UNIQUE USING INDEX webhooks_delivery_new_key",
    ]


FORWARD, BACK = build("guid, hook_id"), build("hook_id, guid")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("webhooks", "0004_bodies_by_day")]

    operations = [
        *(migrations.RunSQL(there, migrations.RunSQL.noop) for there in FORWARD[:2]),
        migrations.RunSQL(
            FORWARD[2],
            BACK[2],
            state_operations=[
                migrations.RemoveConstraint("delivery", NAME),
                migrations.AddConstraint("delivery", models.UniqueConstraint(fields=["guid", "hook_id"], name=NAME)),
            ],
        ),
        *(migrations.RunSQL(migrations.RunSQL.noop, back) for back in reversed(BACK[:2])),
        *(AddIndexConcurrently("delivery", index) for index in INDEXES),
    ]
