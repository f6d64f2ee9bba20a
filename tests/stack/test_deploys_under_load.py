"""Releases come and go while readers read and write: none of them notices."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest

from tests.stack.containers import UNFINISHED
from tests.stack.deploys import FULL, Deploys, no_failures
from tests.stack.local import wait_for

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(7200 if FULL else 1200),
]

DEPLOYS, REQUESTS, QUIET_SECONDS = (10, 50_000, 30) if FULL else (2, 400, 8)
# With which of them a migration comes.
MIGRATING = (2, 7)
COLUMN = 'migrations.AddField("tag", "of_deploy_{number}", models.CharField(max_length=9, null=True))'
# A p99 of a few ms is one scheduler's slice; below this the ratio says nothing.
FLOOR_SECONDS = 0.02
ROLLBACK_SECONDS = 10
ROLLED_BACK = re.compile(r"^rolled back to \S+ in ([\d.]+) s, it has served since ([\d.]+) s$", re.MULTILINE)
# Tasks for the workers, more than one does before it is told to stop.
QUEUE = "from blog.tasks import reindex; [reindex.enqueue() for _ in range(300)]"
ENDS = "SELECT string_agg(DISTINCT status, ' ') FROM django_tasks_database_dbtaskresult"


def test_no_request_fails_and_no_row_is_lost_while_releases_change(deploys: Deploys) -> None:
    before = deploys.serving()
    chain = deploys.base
    windows: list[tuple[float, float]] = []
    with deploys.load() as load:
        started = time.time()
        time.sleep(QUIET_SECONDS)
        deploys.stack.run("manage", "shell", "--no-imports", "-c", QUEUE)
        for number in range(1, DEPLOYS + 1):
            files = {}
            if number in MIGRATING:
                name = f"9{number:03d}_expanding"
                files = deploys.migration(name, COLUMN.format(number=number))
                deploys.last_migration = name
            chain = deploys.derive(files, chain)
            begun = time.time()
            done = deploys.run("deploy", chain)
            windows.append((begun, time.time()))
            assert done.returncode == 0, done.stderr
            assert done.stdout.splitlines()[-1].startswith(f"deployed {chain} in ")
            assert deploys.serving() == chain
            time.sleep(QUIET_SECONDS / 2)
            while (time.time() - started) * load.rate < REQUESTS * number / DEPLOYS:
                time.sleep(1)
        back = deploys.run("rollback")
        assert back.returncode == 0
        found = ROLLED_BACK.search(back.stdout)
        assert found, back.stdout
    deploys.base = chain
    report = load.measured()
    no_failures(report)
    assert len(report.samples) >= REQUESTS
    assert before != deploys.serving() == deploys.records()[-1]["release"]
    assert deploys.leftovers() == {}
    wait_for(lambda: deploys.stack.psql(UNFINISHED) == "0", 60, "every task is done")
    assert deploys.stack.psql(ENDS) == "SUCCESSFUL"
    between = list(zip([started, *(end for _, end in windows)], [begun for begun, _ in windows], strict=False))
    quiet, busy = report.p99(between), report.p99(windows)
    pages = replace(report, samples=[sample for sample in report.samples if sample.kind != "file"])
    print(
        f"p99: {1000 * quiet:.0f} ms in quiet, {1000 * busy:.0f} ms during {DEPLOYS} deploys, {load.rate:.0f} a second"
    )
    print(f"p99: {1000 * pages.p99(between):.0f} and {1000 * pages.p99(windows):.0f} ms without the files")
    print(f"time to recover: rollback {found[2]} s until the release before has the traffic, {found[1]} s in all")
    print(f"requests: {len(report.samples)}, failed: 0, rows acknowledged: {len(report.acknowledged())}, lost: 0")
    if FULL:
        # A few seconds of quiet on a machine that others use say too little.
        assert busy <= 3 * max(quiet, FLOOR_SECONDS)
        assert float(found[2]) < ROLLBACK_SECONDS
    assert report.cpu < 0.3


def test_a_release_that_serves_is_not_deployed_again(deploys: Deploys) -> None:
    container = deploys.stack.container("web")
    done = deploys.run("deploy", deploys.serving())
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"{deploys.serving()} serves already: nothing to deploy"
    assert deploys.stack.container("web") == container


def test_releases_lists_what_was_deployed_with_its_migrations(deploys: Deploys) -> None:
    lines = deploys.run("releases").stdout.splitlines()
    assert lines[0].split() == ["RELEASE", "STATE", "DEPLOYED", "SECONDS", "DIGEST", "MIGRATIONS"]
    assert next(line for line in lines if " current " in line).startswith(deploys.serving())
    assert any("blog.9002_expanding" in line for line in lines)
    assert sum(" rolled back " in line for line in lines) == 1


def test_a_second_deploy_at_the_same_time_is_refused(deploys: Deploys) -> None:
    release = deploys.derive({})
    first = deploys.command("deploy", RELEASE=release)
    try:
        while not any(item["release"] == release for item in deploys.records()):
            assert first.poll() is None
            time.sleep(0.1)
        for verb in ("deploy", "rollback", "down"):
            second = deploys.run(verb, release if verb == "deploy" else "")
            assert second.returncode != 0, verb
            assert f"another start, stop, deploy or restore of {deploys.stack.project} is under way" in second.stderr
    finally:
        out, error = first.communicate(timeout=600)
    assert first.returncode == 0, out + error
    assert deploys.serving() == release
