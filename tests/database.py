"""A pytest plugin (`-p tests.database`): the environment Django's settings need, and a throwaway PostgreSQL behind it.

The environment is set when the plugin is imported, before pytest-django reads the settings; the server starts when the
first test asks for the database.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.layout import write_secret
from local.postgres import Cluster, temporary

# A shell starts what it sends to the background deaf to Ctrl-C, and so would be every command that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
directory = Path(tempfile.mkdtemp(prefix="slipway-test-", dir=os.environ.get("TEST_TMPDIR")))
atexit.register(shutil.rmtree, directory, ignore_errors=True)

SECRETS = directory / "secrets"
SECRETS.mkdir(mode=0o700)
for name in ("secret_key", "postgres_password", "owner_password", "app_password"):
    write_secret(SECRETS / name)

ENVIRONMENT = {
    "DEBUG": "0",
    "SECRET_KEY_FILE": str(SECRETS / "secret_key"),
    "ALLOWED_HOSTS": "testserver,localhost",
    "SITE_URL": "https://testserver",
    "DATABASE_HOST": str(directory / "db"),
    "DATABASE_PORT": "5432",
    "DATABASE_NAME": "slipway",
    "DATABASE_USER": "slipway_owner",
    "DATABASE_PASSWORD_FILE": str(SECRETS / "owner_password"),
    "STATIC_BUILD": str(directory / "static-build"),
    "STATIC_PUBLISHED": str(directory / "static"),
    "MEDIA_ROOT": str(directory / "media"),
    "LOG_FORMAT": "json",
    "RELEASE": "test",
}
os.environ.update(ENVIRONMENT)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """The throwaway cluster. The tests connect as the owner, who here may also create the test database."""
    with temporary(ROOT, directory, SECRETS) as cluster:
        grant = "ALTER ROLE slipway_owner CREATEDB"
        cluster.run("psql", "--no-psqlrc", "--quiet", "--dbname", "postgres", "--command", grant)
        yield cluster
