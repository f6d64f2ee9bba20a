"""The numbers of a stack in containers, from Docker and from each container itself, as the user it runs as."""

from __future__ import annotations

import functools
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.labels import LABEL, options
from watch.figures import PSQL, PSQL_ENVIRONMENT, Numbers, Part, Running, at_once, connections, merged, output

ROOT = Path(__file__).resolve().parents[1]
# In the order of a request, then what works behind.
SERVICES = ("proxy", "web", "worker", "db", "backup", "acme")
# Docker itself may be slow.
DOCKER_SECONDS = 5.0
# stub_status answers only who asks from inside.
PROXY = r"""
exec 2>/dev/null
if exec 3<>/dev/tcp/127.0.0.1/8080; then
  printf 'GET /proxy-status HTTP/1.0\r\n\r\n' >&3
  timeout 1 cat <&3
fi
[ -z "${CERTIFICATES-}" ] || timeout 1 openssl x509 -noout -enddate -in "$CERTIFICATES/current/fullchain.pem"
"""


def inspected(project: str) -> list[dict[str, Any]]:
    """What Docker knows of the project's containers, but for those of single commands."""
    ids = output(["docker", "ps", "--all", "--quiet", "--no-trunc", *options(project)], seconds=DOCKER_SECONDS)
    text = output(["docker", "inspect", *ids.split()], seconds=DOCKER_SECONDS) if ids else None
    try:
        found: list[dict[str, Any]] = json.loads(text or "[]")
    except ValueError:
        return []
    return found


def environment(found: dict[str, Any]) -> dict[str, str]:
    """The environment that a container was started with."""
    return dict(item.partition("=")[::2] for item in found["Config"]["Env"] or [])


def health(found: dict[str, Any]) -> str:
    """healthy, starting, unhealthy, running (without a check), paused, restarting; or down, with the exit status."""
    state = found["State"]
    if state["Status"] == "running":
        return (state.get("Health") or {}).get("Status") or "running"
    if state["Status"] in ("paused", "restarting"):
        return str(state["Status"])
    return f"down ({state['ExitCode']})" if state["Status"] == "exited" and state["ExitCode"] else "down"


def uptime(found: dict[str, Any]) -> float | None:
    """Seconds since a container started; None for one that does not run."""
    if found["State"]["Status"] not in ("running", "paused"):
        return None
    started = datetime.fromisoformat(found["State"]["StartedAt"][:19]).replace(tzinfo=UTC)
    return max(0.0, time.time() - started.timestamp())


def ask_web(identity: str) -> Numbers | None:
    """UWSGI's numbers, by this checkout's serve.py: the release that runs may not have the command yet."""
    script = (ROOT / "services/web/serve.py").read_text(encoding="utf-8")
    return merged(output(["docker", "exec", "--interactive", identity, "python", "-", "status"], stdin=script))


def ask_database(identity: str) -> Numbers | None:
    """PostgreSQL's numbers and those of the queue."""
    variables = [part for name, value in PSQL_ENVIRONMENT.items() for part in ("--env", f"{name}={value}")]
    # Where the server is frozen psql would wait for ever, in the container.
    return merged(output(["docker", "exec", *variables, identity, "timeout", "1.8", "psql", *PSQL]))


def ask_proxy(identity: str) -> Numbers | None:
    """Nginx's connections, and when the certificate ends (seconds since 1970)."""
    text = output(["docker", "exec", identity, "bash", "-c", PROXY])
    if not text:
        return None
    found: Numbers = {"connections": connections(text)}
    for line in text.splitlines():
        if line.startswith("notAfter="):
            ends = datetime.strptime(line, "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
            found["certificate_ends"] = ends.timestamp()
    return found


def ask_backup(identity: str) -> Numbers | None:
    """Ages (seconds) of the last backup and drill, and what fails."""
    from backup.listing import archive
    from backup.moments import backups

    text = output(["docker", "exec", identity, "timeout", "1.8", "/opt/db/backup/report"])
    try:
        report = json.loads(text or "")
        taken = backups(report)
        drill = report["drill"]
        return {
            "type": taken[-1]["type"] if taken else None,
            "age": report["now"] - taken[-1]["timestamp"]["stop"] if taken else None,
            "archive": archive(report),
            "drill_age": report["now"] - drill["at"] if drill else None,
            "drill_ok": bool(drill["ok"]) if drill else None,
        }
    except (ValueError, KeyError, TypeError):
        return None


QUESTIONS = {"web": ask_web, "db": ask_database, "proxy": ask_proxy, "backup": ask_backup}


def gather(project: str, mode: str) -> Running:
    """All numbers of one project."""
    found = [item for item in inspected(project) if item["Config"]["Labels"].get(f"{LABEL}.service") in SERVICES]
    found.sort(key=lambda item: (SERVICES.index(item["Config"]["Labels"][f"{LABEL}.service"]), item["Created"]))
    named = [(item["Config"]["Labels"][f"{LABEL}.service"], item) for item in found]
    answers = at_once(
        {
            item["Id"]: functools.partial(QUESTIONS[service], item["Id"])
            for service, item in named
            if item["State"]["Status"] == "running" and service in QUESTIONS
        }
    )
    tasks = next((tasks_of(answers.get(item["Id"])) for service, item in named if service == "db"), None)
    parts: list[Part] = []
    for service, item in named:
        numbers = answers.get(item["Id"])
        if service == "worker" and item["State"]["Status"] == "running":
            numbers = tasks
        if service == "proxy":
            ports = [bound[0]["HostPort"] for bound in (item["HostConfig"]["PortBindings"] or {}).values() if bound]
            numbers = {**(numbers or {}), "ports": sorted(map(int, ports))} if numbers else None
        parts.append(
            {
                "service": service,
                "health": health(item),
                "release": item["Config"]["Image"].rpartition(":")[2],
                "uptime": uptime(item),
                "numbers": numbers,
            }
        )
    there = {service for service, _ in named}
    expected = SERVICES[:5] if mode == "prod" else SERVICES[:4]
    parts += [
        {"service": name, "health": "down", "release": "", "uptime": None, "numbers": None}
        for name in expected
        if name not in there
    ]
    parts.sort(key=lambda part: SERVICES.index(part["service"]))
    url = next((environment(item).get("SITE_URL", "") for service, item in named if service == "web"), "")
    return {"name": project, "engine": "docker", "mode": mode, "url": url, "parts": parts}


def tasks_of(numbers: Numbers | None) -> Numbers | None:
    """The queue's part of the database's answer, taken out of it."""
    if not numbers or "waiting" not in numbers:
        return None
    return {name: numbers.pop(name) for name in ("waiting", "running", "failed")}
