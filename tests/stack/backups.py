"""The stack that the scenarios of backups use: production in containers, archived and watched in seconds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.containers import RELEASE, DockerStack, docker
from tests.stack.local import copy_checkout, wait_for
from tests.stack.sharing import shared

ALERT_SECONDS = 4


class BackedUpStack(DockerStack):
    """A production stack with its repository in a volume."""

    def __init__(self, checkout: Path) -> None:
        super().__init__(
            checkout, "prod", ARCHIVE_TIMEOUT="2", MEDIA_SECONDS="1", DRILL_DAYS="0",
            ARCHIVE_ALERT_SECONDS=str(ALERT_SECONDS),
        )  # fmt: skip

    def verb(self, name: str, check: bool = True, **more: str) -> str:
        """Run a verb; returns what it printed, the error too. With `check` it must succeed, else it must fail."""
        done = self.make(name, timeout=300, check=False, **more)
        assert (done.returncode == 0) is check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def refusal(self, name: str, **more: str) -> str:
        """The one line in which a verb refuses."""
        said = self.verb(name, check=False, **more)
        lines = [line for line in said.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, said
        assert "Traceback" not in said
        return lines[0]

    def labels(self) -> list[str]:
        """The labels of the backups there are."""
        lines = self.verb("backups").splitlines()
        return [line.split()[0] for line in lines if line[:1].isdigit()]

    def wait_for_backup(self) -> None:
        """Wait until there is one."""
        wait_for(self.labels, 90, "there is a backup")

    def now(self) -> str:
        """This moment, by the database's clock."""
        return self.psql("SELECT clock_timestamp()")

    def as_root(self, script: str) -> str:
        """Run a script as root on the volumes, as whoever administers the machine could."""
        mounts = {"backups": "/srv/backups", "pgdata": "/var/lib/postgresql", "media": "/srv/media"}
        volumes = [part for name, path in mounts.items() for part in ("--volume", f"{self.project}_{name}:{path}")]
        return docker(
            "run", "--rm", "--user", "0", "--network", "none", *volumes,
            "--entrypoint", "bash", f"slipway/db:{RELEASE}", "-ec", script,
        )  # fmt: skip

    def flip_a_byte(self, files: str) -> None:
        """Invert a byte amid the largest file that the shell's pattern names; again, and it is as it was."""
        self.as_root(
            f"file=$(ls -S {files} | head -n 1); at=$(($(stat -c %s $file) / 2)); "
            "byte=$(dd if=$file bs=1 skip=$at count=1 status=none | od -An -tu1 | tr -d ' '); "
            'printf "\\\\$(printf %03o $((byte ^ 255)))" | dd of=$file bs=1 seek=$at conv=notrunc status=none'
        )

    def popen(self, name: str, **more: str) -> subprocess.Popen[str]:
        """Start a verb in a process group of its own."""
        return subprocess.Popen(
            ["make", name], cwd=self.checkout, env={**self.environment, **more}, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


@pytest.fixture(scope="session")
def backed_up(tmp_path_factory: pytest.TempPathFactory, images: None) -> Iterator[BackedUpStack]:
    """Production in containers with the sample content and a first backup."""
    stack = BackedUpStack(copy_checkout(tmp_path_factory.mktemp("a stack 码头")))
    with shared("backed_up", stack.remove):
        stack.start()
        stack.manage("seed")
        stack.wait_for_backup()
        yield stack
