"""Scenario 7: a restore to a moment before a delete, what it refuses, and the way back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.stack.backups import BackedUpStack
from tests.stack.containers import docker
from tests.stack.local import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.docker, pytest.mark.timeout(900)]

ROWS = "SELECT count(*) || ' ' || md5(string_agg(md5(c::text), '' ORDER BY id)) FROM blog_comment c"


@contextmanager
def untouched(stack: BackedUpStack) -> Iterator[None]:
    """The rows are the same after the block, and no container was started anew in it."""

    def seen() -> tuple[str, list[str]]:
        return stack.psql(ROWS), [stack.inspect(service)["State"]["StartedAt"] for service in ("db", "web", "backup")]

    before = seen()
    yield
    assert seen() == before


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("", "the site runs (web, worker, db): FORCE=1 stops it"),
        ("yesterday", "TO=yesterday is not a moment"),
        ("2026-13-01 10:00", "is not a moment"),
        ("2026-11-22", "is not a moment"),
        ("2999-01-01 00:00:00+08", "is in the future"),
        ("2001-01-01 00:00:00+08", "is before the oldest backup: one can go back to"),
    ],
)
def test_what_cannot_be_restored_is_refused_and_nothing_touched(backed_up: BackedUpStack, to: str, words: str) -> None:
    with untouched(backed_up):
        assert words in backed_up.refusal("restore", TO=to, **({"FORCE": "1"} if to else {}))


def test_a_restore_to_before_a_delete_brings_every_row_back_and_none_after_and_there_is_a_way_back(
    backed_up: BackedUpStack,
) -> None:
    upload = backed_up.execute("web", "sh", "-c", "find /srv/media -type f | sort | head -n 1").strip()
    content = backed_up.execute("web", "sha256sum", upload)
    before = backed_up.psql(ROWS)
    time.sleep(1.1)
    moment = backed_up.now()
    backed_up.psql("DELETE FROM blog_comment")
    backed_up.psql("CREATE TABLE made_after AS SELECT 1")
    backed_up.execute("web", "rm", upload)
    said = backed_up.verb("restore", TO=moment, FORCE="1")
    assert "pg_amcheck" in said
    assert backed_up.psql(ROWS) == before
    assert backed_up.psql("SELECT to_regclass('made_after')") == ""
    assert backed_up.execute("web", "sha256sum", upload) == content
    assert backed_up.http.get("/readyz").status == 200
    assert "the cluster of before is kept" in backed_up.verb("backups")
    with untouched(backed_up):
        assert "still kept" in backed_up.refusal("restore", FORCE="1")

    # Back to what was, deleted rows and all, and forth to the newest: a timeline of its own, and not the one left.
    backed_up.verb("restore-undo", FORCE="1")
    assert backed_up.psql("SELECT count(*) FROM blog_comment") == "0"
    assert backed_up.psql("SELECT to_regclass('made_after')") == "made_after"
    backed_up.psql("CREATE TABLE made_after_undo AS SELECT 1")
    backed_up.verb("restore", FORCE="1")
    assert backed_up.psql("SELECT to_regclass('made_after_undo')") == "made_after_undo"
    backed_up.verb("restore-confirm")
    assert "is kept" not in backed_up.verb("backups")
    assert "no restore waits" in backed_up.refusal("restore-undo", FORCE="1")


@pytest.mark.parametrize(
    "files",
    [
        "/srv/backups/repository/backup/slipway/*F/bundle/* /srv/backups/repository/backup/slipway/*F/pg_data/base/*/*",
        "/srv/backups/repository/archive/slipway/17-1/*/*",
    ],
    ids=["in the backup", "in the WAL"],
)
def test_a_flipped_byte_is_found_and_the_restore_refused(backed_up: BackedUpStack, files: str) -> None:
    before = backed_up.psql(ROWS)
    if "archive" in files:
        backed_up.verb("backup")
        backed_up.psql("CREATE TABLE much AS SELECT md5(n::text) FROM generate_series(1, 100000) n")
        backed_up.execute("backup", "/opt/db/backup/restore", "flush")
        newest = backed_up.as_root(f"ls -t {files} | head -n 1").strip()
        files = newest
    else:
        files = "$(ls -d /srv/backups/repository/backup/slipway/*F | tail -n 1)/bundle/*"
    backed_up.flip_a_byte(files)
    try:
        said = backed_up.refusal("restore", FORCE="1")
        assert "is kept" not in backed_up.verb("backups")
        assert "damaged" in backed_up.refusal("restore-drill")
    finally:
        backed_up.flip_a_byte(files)
    assert backed_up.psql(ROWS) == before
    assert backed_up.http.get("/readyz").status == 200
    assert said


def test_a_restore_killed_in_the_middle_leaves_the_old_cluster(backed_up: BackedUpStack) -> None:
    before = backed_up.psql(ROWS)
    running = backed_up.popen("restore", FORCE="1")
    wait_for(lambda: "restoring" in backed_up.as_root("ls /var/lib/postgresql/17"), 60, "it restores beside")
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    backed_up.start()
    assert backed_up.psql(ROWS) == before
    # What it has left is in nobody's way.
    assert "no restore waits" in backed_up.refusal("restore-undo", FORCE="1")


def test_a_restore_that_is_interrupted_starts_the_site_again(backed_up: BackedUpStack) -> None:
    before = backed_up.psql(ROWS)
    running = backed_up.popen("restore", FORCE="1")
    wait_for(lambda: not backed_up.inspect("web")["State"]["Running"], 60, "the site is stopped")
    wait_for(lambda: "restoring" in backed_up.as_root("ls /var/lib/postgresql/17"), 60, "it restores beside")
    for other in (backed_up.run("down", check=False).stderr, backed_up.refusal("restore-confirm")):
        assert f"another start, stop, deploy or restore of {backed_up.project} is under way" in other
    os.killpg(running.pid, signal.SIGINT)
    assert "nothing has changed" in running.communicate()[0]
    assert running.returncode != 0
    assert backed_up.psql(ROWS) == before
    assert backed_up.http.get("/readyz").status == 200
    left = docker("ps", "--all", "--quiet", "--filter", f"label=slipway.recovered={backed_up.project}")
    assert left == ""
