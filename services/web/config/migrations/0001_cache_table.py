"""The table of Django's database cache, as `createcachetable` makes it.

It is unlogged: a cache needs neither WAL nor a place in the backups, and is empty after a crash.
"""

from django.db import migrations

CREATE = """
CREATE UNLOGGED TABLE config_cache (
    cache_key varchar(255) NOT NULL PRIMARY KEY,
    value text NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE INDEX config_cache_expires ON config_cache (expires);
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [migrations.RunSQL(CREATE, "DROP TABLE config_cache;")]
