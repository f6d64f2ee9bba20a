"""The verbs at the edges: what they print, and the one line each says when it cannot work."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.stack.local import LocalStack, copy_checkout

RUN = ["dev", "prod-up", "deploy", "rollback", "releases", "down", "ps", "logs", "cert"]
WORK = ["shell", "psql", "manage", "migrate", "seed"]
CHECK = ["test", "chaos", "lint", "fmt", "bench", "bench-build", "doctor"]
BUILD = ["build", "base", "lock", "lock-check", "outdated", "sbom", "scan", "clean", "help"]
RELEASE = ["verify", "release", "verify-release"]
BACKUPS = [
    "backup", "backups", "restore", "restore-confirm", "restore-undo", "restore-drill", "export-db", "import-db",
    "db-upgrade",
]  # fmt: skip
VERBS = RUN + WORK + BACKUPS + CHECK + BUILD + RELEASE
NO_DOCKER: dict[str, Any] = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> LocalStack:
    """A checkout in which nothing runs."""
    return LocalStack(copy_checkout(tmp_path_factory.mktemp("idle")), "dev")


def one_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line a failing verb wrote besides make's own; fails on a traceback or a second line."""
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not re.match(r"make: \*\*\*|engine: ", line)]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_make_alone_prints_every_verb_in_groups(idle: LocalStack) -> None:
    output = idle.make().stdout
    listed = re.findall(r"^  ([a-z-]+) ", output, re.MULTILINE)
    assert set(VERBS) == set(listed)
    assert re.findall(r"^[A-Z][a-z]+$", output, re.MULTILINE) == ["Run", "Work", "Backups", "Check", "Build", "Release"]


@pytest.mark.parametrize("verb", ["backup", "backups", "restore", "restore-drill", "db-upgrade"])
def test_the_local_engine_has_no_backups_and_says_what_it_has(idle: LocalStack, verb: str) -> None:
    assert "make export-db FILE=" in one_error(idle.make(verb, check=False, ENGINE="local"))


def test_the_doctor_lists_both_engines(idle: LocalStack) -> None:
    output = idle.make("doctor", ENGINE="").stdout
    assert "Local engine" in output
    assert "Docker engine" in output
    assert "`make dev` would use" in output


def test_the_doctor_says_how_to_get_what_is_missing(idle: LocalStack) -> None:
    output = idle.make("doctor", check=False, ENGINE="", **NO_DOCKER).stdout
    assert re.search(r"missing\s+daemon\s+none answers: start it", output)


@pytest.mark.parametrize(("free", "said"), [("2999", "nearly full, make room"), ("3000", "3000 MB free\n")])
def test_the_doctor_says_when_a_disk_is_nearly_full(idle: LocalStack, tmp_path: Path, free: str, said: str) -> None:
    program = tmp_path / "df"
    program.write_text(f"#!/bin/sh\necho head\necho disk 100000 0 {free} 0% /\n")
    program.chmod(0o755)
    output = idle.make("doctor", check=False, ENGINE="", PATH=f"{tmp_path}:{os.environ['PATH']}").stdout
    lines = [line for line in output.splitlines(keepends=True) if re.search(r"\sdisk\s", line)]
    assert lines
    assert all(said in line for line in lines)


def test_without_a_docker_daemon_the_local_engine_is_chosen_and_says_so(idle: LocalStack) -> None:
    done = idle.make("ps", check=False, ENGINE="", **NO_DOCKER)
    assert "engine: local (no Docker daemon with Compose answers)" in done.stderr


def test_docker_without_a_daemon_is_one_line(idle: LocalStack) -> None:
    done = idle.make("dev", check=False, ENGINE="docker", **NO_DOCKER)
    assert "no Docker daemon" in one_error(done)
    assert "make doctor" in one_error(done)


def test_manage_without_a_command_is_one_line(idle: LocalStack) -> None:
    assert 'make manage CMD="createsuperuser"' in one_error(idle.make("manage", check=False))


def test_logs_without_a_log_is_one_line(idle: LocalStack) -> None:
    assert "no log yet" in one_error(idle.make("logs", check=False))


def test_down_when_nothing_runs_is_no_error(idle: LocalStack) -> None:
    assert "nothing runs" in idle.make("down").stdout


def test_a_malformed_line_of_the_env_file_is_named(idle: LocalStack) -> None:
    file = idle.checkout / ".env"
    file.write_text("# a comment\nPORT=8001\nthis is no setting\n")
    try:
        line = one_error(idle.make("ps", check=False))
    finally:
        file.unlink()
    assert ".env line 3" in line


def test_the_caller_overrides_the_env_file(idle: LocalStack) -> None:
    file = idle.checkout / ".env"
    file.write_text("PORT=not-a-port\nENGINE=local\n")
    try:
        assert "PORT=not-a-port" in one_error(idle.make("dev", check=False, PORT=""))
        assert "PORT=also-none" in one_error(idle.make("dev", check=False, PORT="also-none"))
    finally:
        file.unlink()


def test_deleting_the_data_needs_a_confirmation(idle: LocalStack) -> None:
    assert "YES=1" in one_error(idle.make("clean", check=False, DATA="1", **NO_DOCKER))


@pytest.mark.parametrize("state", [".local", ".local/nix"])
def test_clean_keeps_the_data_unless_told_and_then_removes_all(tmp_path: Path, state: str) -> None:
    stack = LocalStack(copy_checkout(tmp_path), "prod", LOCAL_STATE=state, **NO_DOCKER)
    stack.start()
    # Who cleans up need not know that another state runs.
    assert "runs: `make down` first" in stack.make("clean", check=False, LOCAL_STATE="").stderr
    stack.stop()
    data = (tmp_path / state / "postgres").resolve()
    # The environment of the tests is not this checkout's to remove.
    assert os.path.realpath(stack.environment["VENV"]) != os.path.realpath(tmp_path / ".venv")
    stack.make("clean")
    assert (data / "data/PG_VERSION").exists()
    stack.make("clean", DATA="1", YES="1")
    assert not (tmp_path / ".local").exists()
    assert not data.exists()
