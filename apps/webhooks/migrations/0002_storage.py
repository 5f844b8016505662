"""How PostgreSQL keeps the letterbox: nothing a model can say."""

from django.db import migrations

# Room on each page, so that ringing again (rung_at is in no index) stays on it; and a vacuum that keeps up with the
# two updates that every delivery sees.
TUNE = """
ALTER TABLE webhooks_delivery SET (
    fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05
)
"""
UNTUNE = """
ALTER TABLE webhooks_delivery RESET (
    fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor
)
"""

# lz4 costs the door a fraction of what pglz costs; a server built without it keeps its default.
COMPRESS = """
DO $$
BEGIN
    ALTER TABLE webhooks_deliverybody ALTER COLUMN content SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial")]

    operations = [
        migrations.RunSQL(TUNE, UNTUNE),
        migrations.RunSQL(COMPRESS, migrations.RunSQL.noop),
    ]
