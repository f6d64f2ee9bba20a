"""Addresses that administrators gave accounts before there was sign-up count as verified."""

from django.db import migrations

VERIFY = """
INSERT INTO account_emailaddress (user_id, email, verified, "primary")
SELECT id, lower(email), true, true FROM accounts_user WHERE email <> ''
ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_username_fits_address"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]
    operations = [migrations.RunSQL(VERIFY, migrations.RunSQL.noop)]
