"""Scenario 6, for the WAL: an archive that takes nothing is seen, PostgreSQL goes on, and it recovers by itself."""

from __future__ import annotations

import pytest

from tests.stack.backups import ALERT_SECONDS, BackedUpStack
from tests.stack.containers import RELEASE, docker
from tests.stack.local import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.docker, pytest.mark.timeout(900)]


def archived(stack: BackedUpStack) -> str:
    """The newest segment that PostgreSQL knows to be in the repository."""
    return stack.psql("SELECT last_archived_wal FROM pg_stat_archiver")


def test_an_archive_that_fails_is_unhealthy_while_the_site_goes_on_and_recovers(backed_up: BackedUpStack) -> None:
    repository = "/srv/backups/repository/archive"
    backed_up.as_root(f"chown 0:0 -R {repository}; chmod 0500 {repository}")
    try:
        backed_up.psql("CREATE TABLE during_failure AS SELECT generate_series(1, 1000)")
        segment = backed_up.psql("SELECT pg_walfile_name(pg_switch_wal())")
        backed_up.wait_for_health("backup", "unhealthy", 60)
        said = str(backed_up.inspect("backup")["State"]["Health"]["Log"])
        assert "WAL has waited" in said
        assert "Permission denied" in said
        assert "failing for" in backed_up.verb("backups")
        # Nobody else is worse for it.
        assert backed_up.health("db") == "healthy"
        assert backed_up.http.get("/readyz").status == 200
        backed_up.psql("INSERT INTO during_failure SELECT 1")
        assert archived(backed_up) < segment
    finally:
        backed_up.as_root(f"chmod 0750 {repository}; chown 10003:10003 -R {repository}")
    wait_for(lambda: archived(backed_up) >= segment, 60, "the WAL that waited is archived")
    backed_up.wait_for_health("backup", "healthy", 60)
    assert ALERT_SECONDS < 900
    backed_up.psql("DROP TABLE during_failure")


def test_a_repository_that_is_full_is_an_archive_that_fails(backed_up: BackedUpStack) -> None:
    """The words of pgBackRest for it; the queue in front of it is the one of the test above."""
    script = (
        "sed 's|^readonly BACKUPS=.*|readonly BACKUPS=/full|; s|^readonly RUN=.*|readonly RUN=/tmp/run|' "
        "/opt/db/backup/settings.sh >/tmp/settings.sh; . /tmp/settings.sh; mkdir -p /full/repository; "
        "head -c 3000000 /dev/urandom | put media/objects/x"
    )
    said = docker(
        "run", "--rm", "--network", "none", "--tmpfs", "/full:size=1m,mode=0700,uid=10003",
        "--volume", f"{backed_up.project}_secrets-backup:/run/secrets:ro",
        "--entrypoint", "bash", f"slipway/db:{RELEASE}", "-c", script, check=False,
    )  # fmt: skip
    assert "No space left on device" in said


@pytest.mark.parametrize(("megabytes", "status"), [("4096", 1), ("64", 0)], ids=["waits", "given up"])
def test_what_waits_is_bounded_so_that_the_disk_does_not_fill(images: None, megabytes: str, status: int) -> None:
    """Five segments of 16 MB wait. Status 0 lets PostgreSQL drop one; a note of it is left for the health check."""
    script = (
        "cd /tmp && mkdir -p pg_wal/archive_status && touch pg_wal/archive_status/{1..5}.ready; "
        "/opt/db/pgbackrest-archive 1 2>&1; echo status $?; cat /srv/database/dropped"
    )
    said = docker(
        "run", "--rm", "--network", "none", "--env", f"ARCHIVE_QUEUE_MB={megabytes}",
        "--entrypoint", "bash", f"slipway/db:{RELEASE}", "-c", script, check=False,
    )  # fmt: skip
    assert f"status {status}" in said
    assert ("is given up" in said) is (status == 0)
