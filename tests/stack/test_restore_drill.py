"""The drill: a restore beside the site that proves what is in the repository, by hand and by the schedule."""

from __future__ import annotations

import re

import pytest

from tests.stack.backups import BackedUpStack
from tests.stack.containers import docker

pytestmark = [pytest.mark.chaos, pytest.mark.docker, pytest.mark.timeout(900)]


def started(stack: BackedUpStack) -> list[str]:
    """When each container of the site was started."""
    return [stack.inspect(service)["State"]["StartedAt"] for service in ("db", "web", "worker", "proxy", "backup")]


def test_a_drill_restores_beside_the_site_and_says_how_long_it_took(backed_up: BackedUpStack) -> None:
    before = started(backed_up)
    # Unlogged: nothing of it is in the WAL.
    backed_up.psql("INSERT INTO config_limit VALUES ('drill', repeat('0', 64), 1, now() + interval '1 hour')")
    said = backed_up.verb("restore-drill")
    for step in (
        "pgbackrest verify",
        "pg_amcheck",
        "the checksum of all articles",
        "migrate --check",
        "The front page",
    ):
        assert re.search(rf"✓.*{re.escape(step)}", said), said
    found = re.search(r"passed: (\d+) rows as before\n  RPO (\d+) s.*\n  RTO (\d+) s", said)
    assert found, said
    assert int(found[1]) > 500
    assert 0 < int(found[2]) <= 30
    assert 0 < int(found[3]) <= 300
    assert started(backed_up) == before
    assert "drill      passed" in backed_up.verb("backups")
    left = docker("ps", "--all", "--quiet", "--filter", f"label=slipway.recovered={backed_up.project}")
    assert left == ""
    volumes = docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={backed_up.project}")
    assert [name for name in volumes.split() if name.startswith(f"{backed_up.project}-")] == []


def test_the_schedule_drills_by_itself_and_leaves_nothing(backed_up: BackedUpStack) -> None:
    said = backed_up.execute("backup", "/opt/db/backup/drill", "scheduled")
    assert re.search(r"drilled a restore in \d+ s: \d+ rows, RPO \d+ s, RTO \d+ s", said)
    assert '"by": "schedule"' in backed_up.execute("backup", "cat", "/srv/backups/state/drill.json")
    assert "No such file" in backed_up.execute("backup", "ls", "/srv/backups/drill", check=False)
    assert backed_up.execute("backup", "sh", "-c", "grep -l postgres /proc/[0-9]*/comm || true") == ""


def test_rows_that_differ_from_what_was_noted_fail_the_drill(backed_up: BackedUpStack) -> None:
    """The restored cluster is the running one here, with a row more than when the note was written."""
    name = backed_up.execute("backup", "/opt/db/backup/drill", "mark").split()[0]
    backed_up.psql("CREATE TABLE public.not_noted AS SELECT 1")
    script = (
        "sed 's|--host \"$SOCKET\"||' /opt/db/backup/drill >/tmp/drill; "
        f"cp /opt/db/backup/settings.sh /tmp; bash /tmp/drill compare {name}"
    )
    said = backed_up.execute("backup", "bash", "-c", script, check=False)
    assert "other rows than were noted: not_noted 1 instead of none" in said
    backed_up.psql("DROP TABLE public.not_noted")
    assert int(backed_up.execute("backup", "bash", "-c", script)) > 500
