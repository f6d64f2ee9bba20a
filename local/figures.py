"""The numbers of the local stack, from its sockets and from /proc."""

from __future__ import annotations

import http.client
import os
import sys
import time
from typing import Any, cast

from local import postgres
from local.layout import Layout, StackError
from local.processes import group_members
from local.stack import Stack
from watch.containers import tasks_of
from watch.figures import PSQL, PSQL_ENVIRONMENT, Numbers, Part, Running, at_once, connections, merged, output

# The worker touches its heartbeat every second, and around a task.
HEARTBEAT_SECONDS = 60.0


def ask_web(stack: Stack) -> Numbers | None:
    """UWSGI's numbers."""
    environment = {**stack.django_environment(), **stack.serve_environment()}
    own = next((path.name for path in stack.places.sockets.glob("*-local.sock")), "")
    environment["GENERATION"] = own.partition("-")[0] or "0"
    return merged(output([sys.executable, "serve.py", "status"], environment=environment, cwd=stack.places.web))


def ask_database(places: Layout) -> Numbers | None:
    """PostgreSQL's numbers and those of the queue."""
    try:
        cluster = postgres.cluster(places)
    except StackError:
        return None
    environment = {**cluster.environment(), **PSQL_ENVIRONMENT}
    return merged(
        output([str(cluster.bin / "psql"), *PSQL], environment=environment, cwd="/", **cluster.owner.options())
    )


def ask_proxy(bind: str, port: int) -> Numbers | None:
    """Nginx's connections, where it was built to count them."""
    # Not through a proxy of the environment; by a name that is not the site's.
    client = http.client.HTTPConnection("127.0.0.1" if bind == "0.0.0.0" else bind, port, timeout=1.5)  # noqa: S104
    try:
        answers = []
        for address in ("/proxy-health", "/proxy-status"):
            client.request("GET", address, headers={"Host": "status.invalid"})
            answer = client.getresponse()
            answers.append(answer.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException):
        return None
    finally:
        client.close()
    return {"connections": connections(answers[1]), "ports": [port]} if answers[0] == "ok\n" else None


def uptime(started: int) -> float | None:
    """Seconds since a process started, by its ticks since boot; None where /proc does not say."""
    if not started:
        return None
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"))


def gather(places: Layout, status: dict[str, object]) -> Running:
    """All numbers of the stack that noted `status` of itself."""
    mode, url = str(status["mode"]), str(status["url"])
    stack = Stack(places, mode)
    processes = {item["name"]: item for item in cast(list[dict[str, Any]], status["processes"])}
    port = int(url.rpartition(":")[2])
    answers = at_once(
        {
            "web": lambda: ask_web(stack),
            "postgres": lambda: ask_database(places),
            "proxy": lambda: ask_proxy(str(status.get("bind") or "127.0.0.1"), port),
        }
    )
    tasks = tasks_of(answers["postgres"])
    parts: list[Part] = []
    for name, service in (("proxy", "proxy"), ("web", "web"), ("worker", "worker"), ("postgres", "db")):
        process = processes.get(name)
        lives = process is not None and bool(group_members(process["group"]))
        beats = time.time() - modified(places) < HEARTBEAT_SECONDS
        well = beats if name == "worker" else answers[name] is not None
        numbers = tasks if name == "worker" else answers[name]
        parts.append(
            {
                "service": service,
                "health": ("healthy" if well else "unhealthy") if lives else "down",
                "release": str(status.get("release") or ""),
                "uptime": uptime(process["started"]) if process and lives else None,
                "numbers": numbers if lives else None,
            }
        )
    return {"name": places.root.name, "engine": "local", "mode": mode, "url": url, "parts": parts}


def modified(places: Layout) -> float:
    """When the worker last touched its heartbeat, in seconds since 1970; 0 when it never did."""
    try:
        return places.heartbeat.stat().st_mtime
    except OSError:
        return 0.0
