"""Lets somebody from another address visit a stack; see tests.stack.stranger for what they do there."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.stack.containers import RELEASE, DockerStack
from tests.stack.local import LocalStack

SCRIPT = Path(__file__).with_name("stranger.py")
Result = tuple[int, float | None]
# Each visit on the local engine comes from an address of its own, which nothing has been counted for yet.
addresses = itertools.count(2)


def job(
    kind: str, count: int, path: str = "/", method: str = "GET", over: float = 0, seconds: float = 20
) -> dict[str, Any]:
    """A job for a stranger."""
    return {
        "kind": kind,
        "after": 0.0,
        "count": count,
        "path": path,
        "method": method,
        "over": over,
        "seconds": seconds,
    }


@contextmanager
def visiting(stack: LocalStack, *jobs: dict[str, Any]) -> Iterator[list[list[Result]]]:
    """Strangers with these jobs, all at one new address, for the length of the block; the list is filled at its end."""
    results: list[list[Result]] = []
    if isinstance(stack, DockerStack):
        where = {"host": "proxy", "port": 8443, "name": "localhost", "tls": True, "source": ""}
        network = f"{stack.project}_edge"
        command = ["docker", "run", "--rm", "--network", network, "--entrypoint", "python", f"slipway/web:{RELEASE}"]
    else:
        source = f"127.0.1.{next(addresses)}"
        where = {"host": "127.0.0.1", "port": stack.port, "name": "localhost", "tls": False, "source": source}
        command = [sys.executable]
    wanted = json.dumps([{**where, **item} for item in jobs])
    with subprocess.Popen(
        [*command, "-c", SCRIPT.read_text(), wanted], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as stranger:
        yield results
        out, error = stranger.communicate(timeout=120)
    assert stranger.returncode == 0, error
    results += [[(status, seconds) for status, seconds in part] for part in json.loads(out)]


def visit(stack: LocalStack, *jobs: dict[str, Any]) -> list[list[Result]]:
    """What came of these jobs, all from one new address."""
    with visiting(stack, *jobs) as results:
        pass
    return results
