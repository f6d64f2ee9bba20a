"""The supervisor of the local engine: what ends is started again, for ever, and never into what it left behind."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from local import processes
from tests.stack import killing
from tests.stack.local import LocalStack, wait_for

# Seconds of one processor.
LONG_QUERY = "SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c"

WORKING = (
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_attribute b%' "
    "AND pid <> pg_backend_pid()"
)


def program(directory: Path, script: str) -> processes.Process:
    """A program that writes a line whenever it is started."""
    command = ["/bin/sh", "-c", f"echo >>{directory}/starts; {script}"]
    return processes.Process("probe", command, {}, signal.SIGTERM, 2, logging.getLogger("probe"), str(directory))


def starts(directory: Path) -> int:
    """How often it was started."""
    noted = directory / "starts"
    return len(noted.read_text()) if noted.exists() else 0


def test_what_keeps_ending_is_started_again_for_ever_and_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(processes, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(processes, "LONGEST_PAUSE", 0.1)
    (tmp_path / "other").mkdir()
    ending, other = program(tmp_path, "exit 3"), program(tmp_path / "other", "exec sleep 60")
    other.stop_signal = signal.SIGKILL
    stop = threading.Event()
    for process in (ending, other):
        process.start()
    watcher = threading.Thread(target=processes.watch, args=([ending, other], stop, ending.log, lambda: None))
    watcher.start()
    try:
        wait_for(lambda: starts(tmp_path) > 7, 20, "more starts than the old limit of five")
        assert "probe keeps ending (status 3)" in caplog.text
        assert other.process
        other.process.kill()
        wait_for(lambda: starts(tmp_path / "other") == 2, 5, "the other one is started again")
        assert watcher.is_alive()
    finally:
        stop.set()
        watcher.join(5)
        ending.stop()
        other.stop()


def test_what_has_to_wait_is_started_when_it_need_not_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hindrances = iter(["no room", "no room", ""])
    waiting = program(tmp_path, "exec sleep 60")
    waiting.hindrance = lambda: next(hindrances)
    stop = threading.Event()
    waiting.start()
    assert waiting.process
    # Or it would be dead before it has noted that it was started.
    wait_for(lambda: starts(tmp_path) == 1, 10, "it is started")
    waiting.process.kill()
    watcher = threading.Thread(target=processes.watch, args=([waiting], stop, waiting.log, lambda: None))
    watcher.start()
    try:
        wait_for(lambda: starts(tmp_path) == 2, 10, "it is started again")
        assert caplog.text.count("probe waits: no room") == 1
    finally:
        stop.set()
        watcher.join(5)
        waiting.stop()


def test_a_query_that_outlives_a_killed_postmaster_does_not_keep_the_database_down(local_prod: LocalStack) -> None:
    """A backend looks for its postmaster only between two statements, and holds the shared memory until then."""
    command, environment = local_prod.psql_command()
    with subprocess.Popen(
        [*command, "-c", LONG_QUERY], cwd=local_prod.checkout, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as query:  # fmt: skip
        wait_for(lambda: local_prod.psql(WORKING) != "0", 20, "the query works")
        killing.send(local_prod, "db", killing.oldest(local_prod, killing.POSTMASTER), signal.SIGKILL)
        wait_for(lambda: query.poll() is not None, 20, "the query ends")
    wait_for(lambda: local_prod.http.get("/readyz").status == 200, 20, "the site is ready again")
