"""Starts and stops the local engine in a copy of the checkout, as a user would: through make."""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.stack.http import Client

ROOT = Path(__file__).resolve().parents[2]

# Where PostgreSQL lives when root runs the tests; its own user must be able to get there.
ROOT_STATE = Path(tempfile.mkdtemp(prefix="slipway-root-"))
ROOT_STATE.chmod(0o711)
atexit.register(shutil.rmtree, ROOT_STATE, ignore_errors=True)


# What a developer may have set for the stack of their own.
CALLERS = {
    "ALLOWED_HOSTS", "BIND", "DEBUG", "DETACH", "DOMAIN", "ENGINE", "FOLLOW", "HTTPS_PORT", "HTTP_PORT", "JSON",
    "LEVEL", "LIMIT_FILES", "LIMIT_FORMS", "LIMIT_LOGINS", "LIMIT_PAGES", "LIMIT_REQUESTS", "LOCAL_ROOT_STATE",
    "LOCAL_STATE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "NGINX_PROGRAM", "PORT", "POSTGRES_BIN", "PROJECT", "RELEASE",
    "REQUEST", "SERVER_PROGRAM", "SERVICE", "SINCE", "SITE_URL", "UNLIMITED", "WEB_PROCESSES",
}  # fmt: skip


# Linux takes the port of an outgoing connection from this range; a port in it may be gone before the stack binds it.
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()
# The two lanes of bin/test share out the ports: what one has found free, the other does not take meanwhile.
_LANE, _STEP = (int(os.environ["TEST_LANE"]), 2) if "TEST_LANE" in os.environ else (0, 1)


def free_port() -> int:
    """A TCP port nobody listens on, that no outgoing connection takes and that was not given before."""
    first = int(_EPHEMERAL.read_text().split()[0])
    while True:
        port = random.randrange(10_240 + _LANE, first, _STEP)
        with socket.socket() as probe:
            # As the stack that was here before left it: its last connections may still be in TIME_WAIT.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104 - Docker publishes on all addresses; closed at once
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


def wait_for(condition: Callable[[], object], timeout: float = 30, what: str = "the condition") -> None:
    """Poll until `condition` is true. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true in {timeout} s"
        time.sleep(0.1)


def copy_checkout(target: Path) -> Path:
    """Copy what git would carry (tracked and new files, nothing ignored) to `target`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            destination = target / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, destination)
    return target


class LocalStack:
    """The local engine in the copy of a checkout, on a port of its own."""

    name = "local"

    def __init__(self, checkout: Path, mode: str, port: int | None = None, **environment: str) -> None:
        self.checkout = checkout
        self.mode = mode
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self.http = Client(self.url)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in CALLERS},
            "ENGINE": "local",
            "PORT": str(self.port),
            "VENV": sys.prefix,
            "LOCAL_ROOT_STATE": str(ROOT_STATE),
            **environment,
        }

    def make(
        self, *arguments: str, timeout: float = 300, check: bool = True, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run make in the copy; `more` are environment variables."""
        done = subprocess.run(
            ["make", *arguments],
            cwd=self.checkout,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self) -> str:
        """Start detached; returns what was printed."""
        return self.make("dev" if self.mode == "dev" else "prod-up", DETACH="1").stdout

    def stop(self) -> None:
        self.make("down")

    def status(self) -> dict[str, object]:
        """What the supervisor noted of itself."""
        loaded: dict[str, object] = json.loads((self.checkout / ".local/status.json").read_text())
        return loaded

    def processes(self) -> dict[str, int]:
        """The process (and group) number of each part, by name."""
        return {item["name"]: item["group"] for item in self.status()["processes"]}  # type: ignore[attr-defined]

    def kill_everything(self) -> None:
        """Send SIGKILL to the supervisor and to each part's whole group."""
        groups = self.processes()
        os.kill(int(str(self.status()["pid"])), signal.SIGKILL)
        for group in groups.values():
            os.killpg(group, signal.SIGKILL)

    def logs(self) -> str:
        """The whole log of all parts."""
        return (self.checkout / ".local/log/stack.log").read_text()

    def logged_since(self, before: str) -> list[str]:
        """The lines that the log has now and had not when it was `before`; a container's stand in the midst of it."""
        return list((Counter(self.logs().splitlines()) - Counter(before.splitlines())).elements())

    def manage(self, *arguments: str) -> str:
        """Run a management command; returns what it printed."""
        return self.make("manage", f"CMD={' '.join(arguments)}").stdout

    def psql(self, sql: str) -> str:
        """Run SQL as the superuser; returns the rows, unadorned."""
        done = subprocess.run(
            [sys.executable, "-m", "local", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def psql_command(self) -> tuple[list[str], dict[str, str]]:
        """The command and environment of an interactive psql, to hold a transaction open."""
        return [sys.executable, "-m", "local", "psql", "-XqAt"], self.environment

    def published_socket(self) -> Path:
        """The symbolic link nginx connects to."""
        environment = self.environment
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from local.layout import layout; import pathlib; print(layout(pathlib.Path('.')).sockets)",
            ],
            cwd=self.checkout,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return Path(done.stdout.strip()) / "web.sock"

    def workers_of_uwsgi(self) -> list[int]:
        """The process numbers of the workers; at first the one that published the socket comes first."""
        master = self.processes()["web"]
        return [int(child) for child in Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def secret(self, name: str) -> Path:
        """The file of a secret."""
        return self.checkout / ".local/secrets" / name

    def admin_password(self) -> str:
        """The administrator's generated password, for a log-in that the limits of earlier ones do not refuse."""
        self.psql("DELETE FROM config_limit")
        return self.secret("admin_password").read_text().strip()
