"""Lets somebody from another address visit a stack; see tests.stack.stranger for what they do there."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.stack.containers import RELEASE, DockerStack, docker
from tests.stack.local import LocalStack

SCRIPT = Path(__file__).with_name("stranger.py")
Result = tuple[int, float | None]
# Each visit comes from an address of its own, which nothing has been counted for yet.
visits = itertools.count(2)
# Of the networks that are made for it, apart from other runs of the tests.
SECOND = random.randint(128, 250)


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
def command(stack: LocalStack) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """How to run Python at a new address, and where the site is from there."""
    number = next(visits)
    if not isinstance(stack, DockerStack):
        there = {"host": "127.0.0.1", "port": stack.port, "name": "localhost", "tls": False}
        yield [sys.executable], {**there, "source": f"127.0.1.{number}"}
        return
    network, proxy = f"{stack.project}-visit-{number}", stack.container("proxy")
    label = f"com.docker.compose.project={stack.project}"
    subnet = f"10.{SECOND}.{number}.0/24"
    docker("network", "create", "--internal", "--subnet", subnet, "--label", label, network)
    try:
        docker("network", "connect", "--alias", "site", network, proxy)
        run = ["docker", "run", "--rm", "--network", network, "--entrypoint", "python", f"slipway/web:{RELEASE}"]
        yield run, {"host": "site", "port": 8443, "name": "localhost", "tls": True, "source": ""}
    finally:
        docker("network", "disconnect", "--force", network, proxy, check=False)
        docker("network", "rm", network, check=False)


@contextmanager
def visiting(stack: LocalStack, *jobs: dict[str, Any]) -> Iterator[list[list[Result]]]:
    """Strangers with these jobs, all at one new address, for the length of the block; the list is filled at its end."""
    results: list[list[Result]] = []
    with command(stack) as (run, there):
        wanted = json.dumps([{**there, **item} for item in jobs])
        with subprocess.Popen(
            [*run, "-c", SCRIPT.read_text(), wanted], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as stranger:
            assert stranger.stdout
            assert stranger.stdout.readline() == "begun\n", stranger.communicate()[1]
            yield results
            out, error = stranger.communicate(timeout=120)
        assert stranger.returncode == 0, error
    results += [[(status, seconds) for status, seconds in part] for part in json.loads(out)]


def visit(stack: LocalStack, *jobs: dict[str, Any]) -> list[list[Result]]:
    """What came of these jobs, all from one new address."""
    with visiting(stack, *jobs) as results:
        pass
    return results
