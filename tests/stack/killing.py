"""Finds the processes of a stack by their titles, and kills them: the same for both engines."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.stack.containers import SERVICES, DockerStack
from tests.stack.local import LocalStack

# Prints number, parent, start and title of each process of a container.
LISTING = """
for path in /proc/[0-9]*; do
  stat=$(cat $path/stat 2>/dev/null) || continue
  set -- ${stat##*) }
  echo "${path#/proc/} $2 ${20} $(tr '\\0' ' ' 2>/dev/null <$path/cmdline)"
done
"""
PARTS = {"db": "postgres"}


class Process(NamedTuple):
    """A process: its number, its parent's, when it started (in ticks), its title."""

    pid: int
    parent: int
    start: str
    title: str


class Kind(NamedTuple):
    """A kind of process: the service it belongs to, what its title holds, and whether its parent's holds it too."""

    service: str
    text: str
    below: bool = False


# The wheel's uWSGI does not change its title.
UWSGI_MASTER = Kind("web", "uwsgi --listen ")
UWSGI_WORKER = Kind("web", "uwsgi --listen ", below=True)
NGINX_MASTER = Kind("proxy", "nginx: master process")
NGINX_WORKER = Kind("proxy", "nginx: worker process")
POSTMASTER = Kind("db", "postgres -D ")
BACKEND = Kind("db", "postgres: slipway_app slipway")
QUEUE = Kind("worker", "manage.py worker")
# All but the backends, of which there are as many as needed.
STANDING = (UWSGI_MASTER, UWSGI_WORKER, NGINX_MASTER, NGINX_WORKER, POSTMASTER, QUEUE)
# What uWSGI calls itself where it can.
TITLES = {"uWSGI master": "uwsgi --listen ", "uWSGI worker ": "uwsgi --listen "}


def stat_of(pid: int) -> tuple[int, str] | None:
    """The parent of a process and when it started, from /proc/PID/stat; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[19]


def descendants(root: int) -> dict[int, str]:
    """The processes below and with `root` on this machine, with when each started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if found := stat_of(int(entry.name)):
            parents[int(entry.name)] = found
    family = {root: parents[root][1]} if root in parents else {}
    grown = True
    while grown:
        new = {pid: start for pid, (parent, start) in parents.items() if parent in family and pid not in family}
        family |= new
        grown = bool(new)
    return family


def listing(stack: LocalStack, service: str) -> list[Process]:
    """The processes of a service; none while it is down. In a container the numbers are its own."""
    found = []
    if isinstance(stack, DockerStack):
        for line in stack.execute(service, "bash", "-c", LISTING, check=False).splitlines():
            parts = line.split(" ", 3)
            # The first of a container may be Docker's, which has the words of what it runs in its title.
            if parts[0].isdigit() and "docker-init" not in parts[-1]:
                found.append(Process(int(parts[0]), int(parts[1]), parts[2], named(parts[3])))
        return found
    root = stack.processes().get(PARTS.get(service, service))
    for pid in descendants(root) if root else ():
        with suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if state := stat_of(pid):
                found.append(Process(pid, *state, named(title)))
    return found


def named(title: str) -> str:
    """The title, as the command where a program has put another in its place."""
    return next((command for text, command in TITLES.items() if title.startswith(text)), title)


def of_kind(processes: list[Process], kind: Kind) -> list[Process]:
    """Those of a kind among the processes of its service, the oldest first."""
    fitting = [item for item in processes if kind.text in item.title]
    numbers = {item.pid for item in fitting}
    return sorted(
        (item for item in fitting if (item.parent in numbers) is kind.below),
        key=lambda item: (int(item.start), item.pid),
    )


def oldest(stack: LocalStack, kind: Kind) -> Process:
    """The process of a kind that lives longest. Raises AssertionError when there is none."""
    found = of_kind(listing(stack, kind.service), kind)
    assert found, f"there is no {kind.text} in {kind.service}"
    return found[0]


def send(stack: LocalStack, service: str, process: Process, number: signal.Signals) -> None:
    """Send a signal to a process of a service."""
    if not isinstance(stack, DockerStack):
        os.kill(process.pid, number)
    elif process.pid == 1:
        stack.send_signal_to_first(service, number)
    else:
        # With a process that its container lives by, this command ends too.
        stack.execute(service, "bash", "-c", f"kill -{int(number)} {process.pid}", check=False)


def counted(stack: LocalStack) -> dict[Kind, int]:
    """How many of each kind there are, where the number stands."""
    processes = {service: listing(stack, service) for service in SERVICES}
    return {kind: len(of_kind(processes[kind.service], kind)) for kind in STANDING}


def everything(stack: LocalStack) -> dict[int, str]:
    """Each process of a stack on the local engine, with when it started."""
    return descendants(int(str(stack.status()["pid"])))


def orphans(seen: dict[int, str], stack: LocalStack) -> list[int]:
    """What lives of `seen` and belongs to the stack no more. On Docker a container's end is that of all in it."""
    mine = everything(stack)
    return [pid for pid, start in seen.items() if (found := stat_of(pid)) and found[1] == start and pid not in mine]


def sockets(stack: LocalStack) -> tuple[str, list[str]]:
    """Where the published name of the application points, and which sockets there are beside it."""
    if isinstance(stack, DockerStack):
        said = stack.execute("web", "bash", "-c", "readlink /run/web/web.sock; ls /run/web").split()
        return said[0], [name for name in said[1:] if name != "web.sock"]
    published = stack.published_socket()
    names = sorted(path.name for path in published.parent.iterdir())
    return str(published.readlink()), [name for name in names if name != "web.sock"]


def containers(stack: DockerStack) -> list[str]:
    """The services of which there is one container that runs and is healthy."""
    return [service for service in SERVICES if stack.health(service) == "healthy"]
