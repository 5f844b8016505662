from django.db import migrations

# In a transaction of its own: the one before locks the table of secrets, which the receiver reads every few seconds,
# and this one reads all deliveries once. A rotation that is under way may have reached GitHub, so it counts as asked.
FILL = """
WITH seen AS (
    SELECT signed_by, min(received_at) AS first_at, max(received_at) AS last_at
    FROM webhooks_delivery WHERE source = 0 AND signed_by <> '' GROUP BY signed_by
)
UPDATE webhooks_webhooksecret AS secret
SET proven_at = coalesce(secret.proven_at, greatest(seen.first_at, secret.created_at)),
    signed_at = greatest(secret.signed_at, seen.last_at)
FROM seen WHERE seen.signed_by = secret.slot
"""
ASSUME = """
UPDATE webhooks_webhooksecret SET handed_over_at = created_at
WHERE proven_at IS NULL AND not_after IS NULL AND label LIKE 'rotated %'
"""


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0002_secret_signatures")]

    operations = [migrations.RunSQL(sql=[FILL, ASSUME], reverse_sql=migrations.RunSQL.noop)]
