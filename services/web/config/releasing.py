"""The steps of a release that touch the database's schema, each refusing with one line instead of half a release."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader

# A key of this project's own for pg_try_advisory_lock, so that two releases never migrate at once.
ADVISORY_KEY = 0x511D3A7
# Shorter than the site's own (3 s): whoever reads the table queues behind the migration while it waits.
LOCK_TIMEOUT = "1s"
TRIES = 6
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 8.0


class ReleaseError(Exception):
    """The release cannot go on; the message says why and how to mend it."""


def unknown_migrations() -> list[str]:
    """The migrations that the database has and this code does not know, as `app.name`, sorted."""
    loader = MigrationLoader(connection)
    replaced = {key for migration in loader.disk_migrations.values() for key in migration.replaces}
    known = set(loader.disk_migrations) | replaced
    return sorted(f"{app}.{name}" for app, name in set(loader.applied_migrations) - known)


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the lock of a release. Raises ReleaseError while another one holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_KEY])
        if not cursor.fetchone()[0]:
            raise ReleaseError("another release is running on this database: wait until it has ended")
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_KEY])


def migrate(verbosity: int = 1, pause: float = PAUSE_SECONDS) -> None:
    """Apply the migrations, each waiting at most LOCK_TIMEOUT for a lock, so that live requests never queue behind it.

    A migration that did not get its lock is tried again, TRIES times, at first `pause` seconds later, then twice as
    long each time, up to LONGEST_PAUSE_SECONDS. Raises ReleaseError after the last; every migration before it stays
    applied.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
    for attempt in range(1, TRIES + 1):
        try:
            call_command("migrate", interactive=False, verbosity=verbosity)
            return
        except OperationalError as error:
            if getattr(error.__cause__, "pgcode", None) != "55P03":
                raise
            if attempt == TRIES:
                raise ReleaseError(
                    f"a migration did not get its lock within {LOCK_TIMEOUT} in {TRIES} tries: "
                    "end the long transaction that holds it (pg_stat_activity) and release again"
                ) from error
            time.sleep(min(pause * 2 ** (attempt - 1), LONGEST_PAUSE_SECONDS))
