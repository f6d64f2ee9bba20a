"""What uWSGI says of itself, on either engine."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any

from tests.stack.containers import DockerStack
from tests.stack.local import LocalStack, wait_for

READ = """
import socket
with socket.socket(socket.AF_UNIX) as client:
    client.connect("/tmp/uwsgi-stats.sock")
    while part := client.recv(65536):
        print(part.decode(), end="")
"""


def stats(stack: LocalStack) -> dict[str, Any]:
    """The statistics of uWSGI: the master answers, for all workers."""
    if isinstance(stack, DockerStack):
        said = stack.execute("web", "python", "-c", READ)
    else:
        where = "from local.layout import layout; import pathlib; print(layout(pathlib.Path('.')).run)"
        run = subprocess.run(
            [sys.executable, "-c", where],
            cwd=stack.checkout,
            env=stack.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{run}/stats.sock")
            said = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    loaded: dict[str, Any] = json.loads(said)
    return loaded


def processes(stack: LocalStack) -> tuple[int, list[int]]:
    """The process numbers of the master and of the workers, as they see themselves."""
    told = stats(stack)
    return told["pid"], sorted(worker["pid"] for worker in told["workers"])


def statuses(stack: LocalStack) -> list[str]:
    """What each worker does: idle, busy, or on its way from or to its end."""
    return [worker["status"] for worker in stats(stack)["workers"]]


def wait_until_idle(stack: LocalStack, timeout: float = 20) -> None:
    """Wait until no worker has a request in hand. Raises AssertionError when one keeps its own."""
    wait_for(lambda: set(statuses(stack)) == {"idle"}, timeout, "every worker is idle")
