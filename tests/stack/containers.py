"""Starts and stops the stack in containers, in a copy of the checkout and as a user would: through make."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack.local import ROOT, LocalStack, copy_checkout, free_port, wait_for
from tests.stack.needs import needs_docker
from tests.stack.sharing import shared

# Not the images that a developer's own stack runs; TEST_RELEASE keeps two runs of the tests apart.
RELEASE = os.environ.get("TEST_RELEASE") or "test"
SERVICES = ("db", "web", "worker", "proxy")
# With these, production's.
LOGGED = (*SERVICES, "backup")
# Seconds. In production a health check runs every ten.
HEALTH_INTERVAL = "3s"
HEARTBEAT_SECONDS = "4"
# How many tasks the worker has not ended.
UNFINISHED = "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status IN ('READY', 'RUNNING')"


def docker(*arguments: str, check: bool = True, stdin: str | None = None, timeout: float = 300) -> str:
    """Run docker and return what it printed; with `check` it must succeed."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr


@functools.cache
def built() -> subprocess.CompletedProcess[str]:
    """What bin/build said; a build that failed is not tried again by every test, and two lanes do not build at once."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "test-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return subprocess.run(
            [str(ROOT / "bin/build"), "base", "web", "web-dev", "proxy", "db"],
            env={**os.environ, "RELEASE": RELEASE},
            capture_output=True,
            text=True,
        )


def build_images() -> None:
    """Build all images from this checkout, tagged RELEASE; what has not changed is taken from the cache."""
    assert built().returncode == 0, built().stdout + built().stderr


@pytest.fixture(scope="session")
def images() -> None:
    """The images, built."""
    needs_docker()
    build_images()


class DockerStack(LocalStack):
    """A stack in containers, run from the copy of a checkout, in a Compose project and on ports of its own."""

    name = "docker"

    def __init__(self, checkout: Path, mode: str, **environment: str) -> None:
        super().__init__(checkout, mode, None)
        self.project = f"slipway-test-{secrets.token_hex(4)}"
        self.http_port = free_port() if mode == "prod" else self.port
        self.environment |= {
            "ENGINE": "docker",
            "PROJECT": self.project,
            "RELEASE": RELEASE,
            "HEALTH_INTERVAL": HEALTH_INTERVAL,
            "HEARTBEAT_SECONDS": HEARTBEAT_SECONDS,
            **environment,
        }
        if mode == "prod":
            self.url = f"https://localhost:{self.port}"
            self.http = type(self.http)(self.url)
            self.environment |= {"HTTP_PORT": str(self.http_port), "HTTPS_PORT": str(self.port)}

    def run(self, *arguments: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Run bin/containers in the copy; `more` are environment variables."""
        done = subprocess.run(
            ["bin/containers", *arguments],
            cwd=self.checkout,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def container(self, service: str) -> str:
        """The id of the container of a service. Raises AssertionError when there is none."""
        labels = (f"project={self.project}", f"service={service}", "oneoff=False")
        filters = [part for label in labels for part in ("--filter", f"label=com.docker.compose.{label}")]
        found = docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        assert len(found) == 1, f"{service}: {found}"
        return found[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker knows of the container of a service."""
        loaded: dict[str, Any] = json.loads(docker("inspect", self.container(service)))[0]
        return loaded

    def health(self, service: str) -> str:
        """starting, healthy or unhealthy."""
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def wait_for_health(self, service: str, health: str, timeout: float = 60) -> None:
        """Wait until a service is healthy or unhealthy."""
        wait_for(lambda: self.health(service) == health, timeout, f"{service} is {health}")

    def execute(self, service: str, *command: str, check: bool = True, stdin: str | None = None) -> str:
        """Run a command in the container of a service, as its user; returns what it printed."""
        return docker("exec", "--interactive", self.container(service), *command, check=check, stdin=stdin)

    def send_signal(self, service: str, number: signal.Signals) -> None:
        """Send a signal to every process of a service, but to none that `docker exec` has put beside them."""
        script = (
            "for path in /proc/[0-9]*; do pid=${path#/proc/}; "
            "parent=$(sed -n 's/^PPid:\\t//p' $path/status 2>/dev/null); "
            f'case $parent in "" | 0 | $$) ;; *) kill -{int(number)} $pid ;; esac; done'
        )
        if number == signal.SIGCONT:
            self.send_signal_to_first(service, number)
        self.execute(service, "bash", "-c", script, check=False)
        if number != signal.SIGCONT:
            self.send_signal_to_first(service, number)

    def send_signal_to_first(self, service: str, number: signal.Signals) -> None:
        """Send a signal to a container's first process, from outside: nobody inside can make it take one.

        `docker kill` would do as well, but after it Docker does not start the container again when it crashes.
        """
        try:
            os.kill(self.processes()[service], number)
        except PermissionError:
            docker("kill", "--signal", number.name, self.container(service))

    # What the scenarios of both engines use.

    def processes(self) -> dict[str, int]:
        """The number of each container's first process on this machine, by service."""
        return {service: int(self.inspect(service)["State"]["Pid"]) for service in SERVICES}

    def kill_everything(self) -> None:
        """Kill -9 of every container, the database's too."""
        docker("kill", *(self.container(service) for service in SERVICES))

    def logs(self) -> str:
        """What the containers have written, one after the other."""
        texts = []
        for service in LOGGED if self.mode == "prod" else SERVICES:
            done = subprocess.run(["docker", "logs", self.container(service)], capture_output=True, text=True)
            texts.append(done.stdout + done.stderr)
        return "\n".join(texts)

    def psql(self, sql: str) -> str:
        """Run SQL as the superuser; returns the rows, unadorned."""
        return self.run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql).stdout.strip()

    def psql_command(self) -> tuple[list[str], dict[str, str]]:
        """The command and environment of an interactive psql, to hold a transaction open."""
        return ["bin/containers", "psql", "-XqAt"], self.environment

    def secret(self, name: str) -> Path:
        """The master copy of a secret."""
        return self.checkout / ".secrets" / self.project / name

    def admin_password(self) -> str:
        """The administrator's generated password, for a log-in that the limits of earlier ones do not refuse."""
        self.psql("DELETE FROM config_limit")
        return self.secret("admin_password").read_text().strip()

    def remove(self) -> None:
        """Remove containers, networks and volumes of this project, whatever state they are in."""
        for carrier in docker("ps", "--all", "--quiet", "--filter", f"label=slipway.carrier={self.project}").split():
            docker("rm", "--force", "--volumes", carrier)
        label = f"label=com.docker.compose.project={self.project}"
        for kind, listing in (
            ("container", ["ps", "--all"]),
            ("network", ["network", "ls"]),
            ("volume", ["volume", "ls"]),
        ):
            for found in docker(*listing, "--quiet", "--filter", label).split():
                docker(kind, "rm", *(["--force"] if kind != "network" else []), found, check=False)


@pytest.fixture(scope="session")
def docker_prod(tmp_path_factory: pytest.TempPathFactory, images: None) -> Iterator[DockerStack]:
    """The stack in containers with production settings and the sample content, in a path with spaces and Chinese."""
    stack = DockerStack(copy_checkout(tmp_path_factory.mktemp("a stack 码头")), "prod")
    with shared("docker_prod", stack.remove):
        stack.start()
        stack.manage("seed")
        yield stack
