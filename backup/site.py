"""The production stack whose backups are meant: its containers, volumes and images, as Docker knows them.

What starts or stops services here starts and stops the containers there are: none is made anew with other settings.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.labels import options

ROOT = Path(__file__).resolve().parents[1]
DATABASE_USER = "10003:10003"
WEB_USER = "10001:10010"
# What a container of ours may do, as in compose/compose.yaml.
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--log-driver", "none")
TEMPORARY = ("--tmpfs", "/tmp:size=64m,mode=1777")  # noqa: S108  (in the container)
REPOSITORY_SETTINGS = (
    "REPO_S3_BUCKET", "REPO_S3_ENDPOINT", "REPO_S3_REGION", "REPO_S3_PORT", "REPO_S3_URI_STYLE", "REPO_S3_VERIFY_TLS",
)  # fmt: skip


class BackupError(Exception):
    """What the user can mend: its text is one line saying what is wrong and how to mend it."""


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no reason given").strip()


def last_words(text: str) -> str:
    """What a script of the containers gave as its reason, or else the last line that it has said."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if line.startswith(("backup: ", "db: ")) and " failed in line " not in line]
    return (reasons or lines or ["no reason given"])[-1].removeprefix("backup: ").removeprefix("db: ")


def docker(*arguments: str, stdin: str | None = None) -> str:
    """Run docker and return what it printed. Raises BackupError with the last line of its error."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(last_words(done.stderr or done.stdout))
    return done.stdout


def major_of(image: str) -> int:
    """The major version of PostgreSQL in an image, by the path that it finds its programs on.

    Raises BackupError when there is no such image, or it is no database's.
    """
    found = re.search(r"/postgresql/(\d+)/bin", docker("image", "inspect", "--format", "{{json .Config.Env}}", image))
    if not found:
        raise BackupError(f"{image} does not say which PostgreSQL it has")
    return int(found[1])


@dataclass(frozen=True)
class Site:
    """One Compose project of this checkout."""

    project: str

    def containers(self, service: str, *, running: bool = False) -> list[str]:
        """The ids of a service's containers, the newest first."""
        which = [] if running else ["--all"]
        return docker("ps", *which, "--quiet", "--no-trunc", *options(self.project, service)).split()

    def running(self, service: str) -> str | None:
        """The container of a service that runs; None when none does."""
        return next(iter(self.containers(service, running=True)), None)

    def volume(self, name: str) -> str:
        """The name of a volume of the project."""
        return f"{self.project}_{name}"

    def has_volume(self, name: str) -> bool:
        """Whether there is such a volume."""
        return self.volume(name) in docker("volume", "ls", "--quiet").split()

    def image(self, service: str) -> str:
        """The image that a service's container was made from; without one, that of the release in RELEASE."""
        found = self.containers(service)
        if found:
            return docker("inspect", "--format", "{{.Image}}", found[0]).strip()
        return f"slipway/{'db' if service == 'backup' else service}:{os.environ.get('RELEASE') or 'dev'}"

    def major(self) -> int:
        """The major version of the PostgreSQL that the site has. Raises BackupError when its image is not here."""
        return major_of(self.image("backup"))

    def environment(self, service: str) -> dict[str, str]:
        """The environment that a service's container was given."""
        found = self.containers(service)
        if not found:
            return {}
        listed: list[str] = json.loads(docker("inspect", "--format", "{{json .Config.Env}}", found[0]))
        return dict(line.split("=", 1) for line in listed)

    def secrets(self) -> Path:
        """The directory with the master copies of the secrets."""
        return ROOT / ".secrets" / self.project

    def running_writers(self) -> list[str]:
        """The containers that run and may write to the database."""
        return [found for service in ("web", "worker") for found in self.containers(service, running=True)]

    def execute(self, *command: str) -> str:
        """Run a script of the backup container in it. Raises BackupError when it does not run."""
        container = self.running("backup")
        if not container:
            raise BackupError(f"the backup container of {self.project} does not run: `make prod-up`")
        return docker("exec", container, *command)

    def repository_mounts(self) -> list[str]:
        """Options that give a container the repository and the key to it, and nothing else of the site."""
        given = self.environment("backup") or dict(os.environ)
        options = [
            part for name in REPOSITORY_SETTINGS if given.get(name) for part in ("--env", f"{name}={given[name]}")
        ]
        outside = given.get("REPO_S3_BUCKET")
        return [
            "--network", f"{self.project}_repository" if outside else "none",
            "--user", DATABASE_USER, *HARDENED,
            *TEMPORARY, "--shm-size", "64m",
            "--tmpfs", "/run/postgresql:size=16m,mode=0700,uid=10003,gid=10003",
            "--volume", f"{self.volume('secrets-backup')}:/run/secrets:ro",
            "--volume", f"{self.volume('backups')}:/srv/backups",
            *options,
        ]  # fmt: skip

    def once(
        self,
        script: str,
        *arguments: str,
        options: tuple[str, ...] = (),
        stdin: str | None = None,
        image: str | None = None,
    ) -> str:
        """Run a script of the backup container, or of another image, in a container of its own, with the repository."""
        return docker(
            "run", "--rm", *(["--interactive"] if stdin is not None else []), *self.repository_mounts(), *options,
            "--entrypoint", f"/opt/db/backup/{script}", image or self.image("backup"), *arguments,
            stdin=stdin,
        )  # fmt: skip

    def report(self) -> dict[str, Any]:
        """What services/db/backup/report says. Raises BackupError when there are no backups."""
        if self.running("backup"):
            text = self.execute("/opt/db/backup/report")
        else:
            if not self.has_volume("backups"):
                raise BackupError(f"the project {self.project} has no backups: `make prod-up` begins them")
            text = self.once("report", options=("--volume", f"{self.volume('pgdata')}:/var/lib/postgresql:ro"))
        loaded: dict[str, Any] = json.loads(text)
        return loaded

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else starts, stops, deploys or restores the project for the block: take_turn of bin/containers.

        Raises BackupError when somebody does.
        """
        (ROOT / ".secrets").mkdir(mode=0o700, exist_ok=True)
        with (ROOT / ".secrets" / f"{self.project}.lock").open("a+", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BackupError(
                    f"another start, stop, deploy or restore of {self.project} is under way: wait until it has ended"
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def scratch_volumes(self) -> list[str]:
        """The volumes of `scratch_volume` that there are; Compose's have an underscore after the project's name."""
        label = f"label=com.docker.compose.project={self.project}"
        listed = docker("volume", "ls", "--quiet", "--filter", label).split()
        return [volume for volume in listed if volume.startswith(f"{self.project}-")]

    @contextlib.contextmanager
    def scratch_volume(self, name: str) -> Iterator[str]:
        """A volume that is removed afterwards."""
        volume = f"{self.project}-{name}-{secrets.token_hex(4)}"
        docker("volume", "create", "--label", f"com.docker.compose.project={self.project}", volume)
        try:
            yield volume
        finally:
            with contextlib.suppress(BackupError):
                docker("volume", "rm", "--force", volume)


def site() -> Site:
    """The production project of this checkout: PROJECT, or the one that stands, or `slipway`.

    Raises BackupError when PROJECT is development's, which has no backups.
    """
    working = ROOT / "compose"
    listed = docker(
        "ps", "--all", "--filter", f"label=com.docker.compose.project.working_dir={working}",
        "--format", '{{.Label "com.docker.compose.project"}}\t{{.Label "com.docker.compose.project.config_files"}}',
    )  # fmt: skip
    standing = dict(line.split("\t", 1) for line in listed.splitlines() if "\t" in line)
    name = os.environ.get("PROJECT") or next(
        (key for key, files in standing.items() if "/prod.yaml" in files), "slipway"
    )
    mode = ROOT / ".secrets" / name / "mode"
    if (mode.exists() and mode.read_text().strip() == "dev") or "/dev.yaml" in standing.get(name, ""):
        raise BackupError(
            f"{name} is a development stack, which keeps no backups: `make export-db FILE=…` writes a dump"
        )
    return Site(name)
