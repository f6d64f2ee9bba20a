"""The counters of config.limits.

The table is unlogged, as the cache's is: after a crash everybody starts at zero.
"""

from django.db import migrations

CREATE = """
CREATE UNLOGGED TABLE config_limit (
    scope varchar(40) NOT NULL,
    key char(64) NOT NULL,
    used integer NOT NULL,
    closes timestamp with time zone NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX config_limit_closes ON config_limit (closes);
"""


class Migration(migrations.Migration):
    dependencies = [("config", "0001_cache_table")]
    operations = [migrations.RunSQL(CREATE, "DROP TABLE config_limit;")]
