"""`make ps`: each part's health and numbers, soon, also when parts are away or hang."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.stack.containers import DockerStack, docker
from tests.stack.local import LocalStack, wait_for
from watch.table import WIDTH

# What is aimed at is 3 s; a machine that tests has others to serve.
SECONDS = 8.0
PARTS = {"local": ["proxy", "web", "worker", "db"], "docker": ["proxy", "web", "worker", "db", "backup"]}


def rows(stack: LocalStack) -> dict[str, str]:
    """The lines of the parts, by service; that all is there in time, and fits."""
    started = time.monotonic()
    lines = stack.make("ps").stdout.splitlines()
    seconds = time.monotonic() - started
    print(f"time to answer: {seconds:.1f} s")
    assert seconds < SECONDS
    assert max(map(len, lines)) <= WIDTH
    return {line.split()[0]: line for line in lines if line.startswith("  ") and "HEALTH" not in line}


def numbers(stack: LocalStack) -> dict[str, Any]:
    """What JSON=1 prints: the parts by service."""
    (found,) = json.loads(stack.make("ps", "JSON=1").stdout)
    assert (found["engine"], found["mode"], found["url"]) == (stack.name, "prod", stack.url)
    return {part["service"]: part for part in found["parts"]}


def test_ps_shows_every_part(stack: LocalStack) -> None:
    found = rows(stack)
    assert list(found) == PARTS[stack.name]
    assert all(" healthy " in line for line in found.values())
    assert "/2 busy, " in found["web"]
    assert " connections, " in found["db"]
    assert "tasks: " in found["worker"]
    assert str(stack.port) in found["proxy"]
    if stack.name == "docker":
        assert ", certificate " in found["proxy"]
        assert ", archive " in found["backup"]


def test_the_numbers_are_those_of_the_moment(stack: LocalStack) -> None:
    before = numbers(stack)
    for _ in range(5):
        assert stack.http.get("/").status == 200
    after = numbers(stack)
    assert after["web"]["numbers"]["requests"] - before["web"]["numbers"]["requests"] >= 5
    assert after["web"]["numbers"]["workers"] == 2
    assert after["web"]["numbers"]["serving"] is True
    assert after["db"]["numbers"]["limit"] == 50
    assert 0 < after["db"]["numbers"]["connections"] < 50
    assert after["db"]["numbers"]["bytes"] > 5_000_000
    assert after["worker"]["numbers"]["running"] >= 0
    assert after["web"]["uptime"] > before["web"]["uptime"] > 0
    if stack.name == "docker":
        assert after["proxy"]["numbers"]["connections"] >= 1
        assert after["proxy"]["numbers"]["certificate_ends"] > time.time()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def frozen_database(stack: LocalStack) -> Iterator[None]:
    """Every process of PostgreSQL stands still."""
    if isinstance(stack, DockerStack):
        stack.send_signal("db", signal.SIGSTOP)
    else:
        server = stack.processes()["postgres"]
        for pid in (server, *children(server)):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if isinstance(stack, DockerStack):
            stack.send_signal("db", signal.SIGCONT)
        else:
            for pid in (server, *children(server)):
                os.kill(pid, signal.SIGCONT)


def test_a_frozen_database_keeps_nobody_waiting(stack: LocalStack) -> None:
    with frozen_database(stack):
        found = rows(stack)
    assert found["db"].endswith("no answer")
    assert found["worker"].endswith("no answer")
    assert "/2 busy, " in found["web"]
    wait_for(lambda: "connections" in rows(stack)["db"], 30, "the database answers again")


def test_what_is_away_is_down(docker_prod: DockerStack) -> None:
    worker = docker_prod.container("worker")
    docker("stop", worker)
    try:
        docker("pause", docker_prod.container("proxy"))
        found = rows(docker_prod)
    finally:
        docker("unpause", docker_prod.container("proxy"))
        docker("start", worker)
        docker_prod.wait_for_health("worker", "healthy")
    assert " down " in found["worker"]
    assert " paused " in found["proxy"]
    assert "/2 busy, " in found["web"]


def test_the_status_of_nginx_is_for_who_asks_from_inside(docker_prod: DockerStack) -> None:
    for host in ("status.invalid", "localhost"):
        answer = docker_prod.http.get("/proxy-status", Host=host)
        assert "Active connections" not in answer.text
    assert docker_prod.execute("proxy", "bash", "-c", (
        "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET /proxy-status HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    )).count("Active connections") == 1  # fmt: skip


def test_what_is_said_of_uwsgi_are_numbers_alone(stack: LocalStack) -> None:
    """Its statistics have the headers of requests, too."""
    found = numbers(stack)["web"]["numbers"]
    assert set(found) == {"workers", "busy", "requests", "exceptions", "harakiri", "serving"}
    assert all(isinstance(value, int) for value in found.values())
