"""What the scenarios of deploys share: a stack of their own, cheap releases for it, and load while something happens.

A release is made from the built image of web and a few changed files, in a second. CHAOS=full runs the scenarios at
their full length; without it they are short enough for every commit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stack.containers import RELEASE, DockerStack, docker
from tests.stack.http import Client
from tests.stack.load import Load, Report, lost_rows, target
from tests.stack.local import copy_checkout
from tests.stack.rates import easy_rate
from tests.stack.sharing import shared

FULL = os.environ.get("CHAOS") == "full"
# How far beyond its bound a time may be. In the short form few requests make a p99, and the machine may do other work.
SLACK = 1 if FULL else 3
# Requests a second at most.
MOST = 75.0
# Of what two processes can do. The full form has to send its many in a quarter of an hour.
SHARE = 0.45 if FULL else 0.3
# Of the requests, a twentieth saves a draft; four in five are for files, as of readers who come for one page.
POSTS, FILES_WEIGHT = 0.05, 100
STEPS = ("preflight", "release", "start", "healthy", "warm", "hand-over", "smoke", "drain")
MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("blog", "{after}")]
    operations = [{operation}]
"""


class Deploys:
    """A stack in production, and releases to deploy to it."""

    def __init__(self, stack: DockerStack, directory: Path) -> None:
        self.stack = stack
        self.directory = directory
        self.made: list[str] = []
        self.base = RELEASE
        self.last_migration = max(
            path.stem for path in (stack.checkout / "services/web/blog/migrations").glob("[0-9]*.py")
        )
        self.load_target: dict[str, Any] = {}

    def derive(self, files: dict[str, str], base: str | None = None) -> str:
        """An image of web with some files of /app replaced or added, made from `base`; returns its release."""
        release = f"{self.stack.project}-{len(self.made) + 1}"
        context = self.directory / release
        for name, content in {**files, "release.txt": release}.items():
            path = context / "app" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        sources = " ".join(f"/app/{name}" for name in files if name.endswith(".py"))
        # What is compiled there is never compared with its source.
        compiling = f"RUN python -m compileall -q -f --invalidation-mode unchecked-hash {sources}\n" if sources else ""
        (context / "Dockerfile").write_text(
            f"FROM slipway/web:{base or self.base}\nUSER 0\nCOPY app /app\n{compiling}USER 10001:10010\n"
        )
        docker("build", "--quiet", "--tag", f"slipway/web:{release}", str(context))
        self.made.append(release)
        return release

    def take_web(self) -> str:
        """A release with the image of web that serves, so that something else can be new in it; returns the release."""
        release = f"{self.stack.project}-{len(self.made) + 1}"
        docker("tag", self.stack.inspect("web")["Image"], f"slipway/web:{release}")
        self.made.append(release)
        return release

    def configure(self, files: dict[str, str]) -> str:
        """A release whose image of nginx is built with other files in services/proxy; returns the release."""
        release = self.take_web()
        directory = self.stack.checkout / "services/proxy"
        before = {name: (directory / name).read_text() for name in files}
        try:
            for name, content in files.items():
                (directory / name).write_text(content)
            done = subprocess.run(
                ["bin/build", "proxy"], cwd=self.stack.checkout, env={**self.stack.environment, "RELEASE": release},
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            for name, content in before.items():
                (directory / name).write_text(content)
        return release

    def derive_other(self, name: str, instructions: str) -> str:
        """A release with another image of proxy or db, made from the one that runs; returns the release."""
        release = self.take_web()
        found = self.stack.inspect(name)["Config"]
        text = f"FROM {found['Image']}\nUSER 0\n{instructions}\nUSER {found['User']}\n"
        docker("build", "--quiet", "--tag", f"slipway/{name}:{release}", "-", stdin=text)
        return release

    def source(self, name: str) -> str:
        """A file of services/web, to change."""
        return (self.stack.checkout / "services/web" / name).read_text()

    def migration(self, name: str, operation: str) -> dict[str, str]:
        """A migration of the blog after the last, as a file."""
        return {f"blog/migrations/{name}.py": MIGRATION.format(after=self.last_migration, operation=operation)}

    def command(self, verb: str, **variables: str) -> subprocess.Popen[str]:
        """Start a verb; its process is the one to kill."""
        return subprocess.Popen(
            ["bin/containers", verb],
            cwd=self.stack.checkout,
            env={**self.stack.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, verb: str, release: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb to its end."""
        started = self.command(verb, RELEASE=release, **variables)
        out, error = started.communicate(timeout=900)
        print(out, error, sep="", flush=True)
        return subprocess.CompletedProcess(verb, started.returncode, out, error)

    def records(self) -> list[dict[str, Any]]:
        """The history, oldest first."""
        path = self.stack.checkout / ".secrets" / self.stack.project / "releases.json"
        found: list[dict[str, Any]] = json.loads(path.read_text())["releases"] if path.exists() else []
        return found

    def serving(self) -> str:
        """Which release answers through the proxy."""
        return str(json.loads(self.stack.http.get("/readyz").text)["release"])

    def answers(self) -> bool:
        """Whether the site answers through the proxy."""
        try:
            return self.stack.http.get("/readyz").status == 200
        except OSError:
            return False

    def leftovers(self) -> dict[str, list[str]]:
        """What a deploy must not leave: second containers, one-off containers, held generations, networks."""
        label = f"label=com.docker.compose.project={self.stack.project}"
        names = docker("ps", "--all", "--filter", label, "--format", "{{.Names}}").split()
        extra = {
            service: found
            for service in ("web", "worker", "proxy")
            if len(found := [name for name in names if f"-{service}-" in name and "-run-" not in name]) != 1
        }
        held = self.stack.execute("web", "sh", "-c", "ls /run/web | grep held || true").split()
        runs = [name for name in names if "-run-" in name]
        networks = docker("network", "ls", "--quiet", "--filter", f"name={self.stack.project}_nowhere").split()
        kinds = {"held": held, "runs": runs, "networks": networks}
        return {**extra, **{name: found for name, found in kinds.items() if found}}

    @contextmanager
    def load(self) -> Iterator[Load]:
        """Load for the length of the block; after it, no acknowledged row may be missing."""
        if not self.load_target:
            self.load_target = target(
                Client(self.stack.url), "admin", self.stack.admin_password(), POSTS, files_weight=FILES_WEIGHT
            )
        directory = self.directory / f"load-{time.monotonic_ns()}"
        directory.mkdir()
        rate = easy_rate(self.stack.http, self.load_target, MOST, SHARE)
        with Load(self.load_target, rate, directory) as load:
            yield load
        report = load.measured()
        print(f"{load.rate:.0f} requests a second\n{report.table()}", flush=True)
        assert lost_rows(report.acknowledged(), self.stack.psql) == []
        assert report.acknowledged()

    def remove(self) -> None:
        """Remove the stack, and the images that were made."""
        self.stack.remove()
        for release in self.made:
            docker(
                "image", "rm", "--force", *(f"slipway/{name}:{release}" for name in ("web", "proxy", "db")), check=False
            )


@pytest.fixture(scope="session")
def deploys(tmp_path_factory: pytest.TempPathFactory, images: None) -> Iterator[Deploys]:
    """The stack of the scenarios of deploys."""
    # The checks of health take their share of the processor: as often as elsewhere, not as often as in tests.
    settings = {"HEALTHY_SECONDS": "60", "BIND": "127.0.0.1", "HEALTH_INTERVAL": "10s"}
    stack = DockerStack(copy_checkout(tmp_path_factory.mktemp("deploys")), "prod", **settings)
    made = Deploys(stack, tmp_path_factory.mktemp("releases"))
    with shared("deploys", made.remove):
        stack.start()
        stack.manage("seed")
        yield made


def no_failures(report: Report) -> None:
    """Fail with the first failures, if there are any."""
    assert report.failures() == [], f"{len(report.failures())} of {len(report.samples)}: {report.failures()[:5]}"


def interrupted(
    deploys: Deploys, release: str, step: str, number: signal.Signals, condition: Callable[[], bool] | None = None
) -> subprocess.Popen[str]:
    """Start a deploy and send the signal as soon as it is at the step, and the condition is met."""
    running = deploys.command("deploy", RELEASE=release)
    while not any(item["release"] == release and item["step"] == step for item in deploys.records()):
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    while condition and not condition():
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    os.kill(running.pid, number)
    return running
