"""What a deploy asks of Docker and Compose."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.labels import LABEL, options
from deploy.progress import DeployError

ROOT = Path(__file__).resolve().parents[1]
# The lock of the project, which bin/containers holds. Commands hold it as well: one that outlives a killed deploy goes
# on changing things, and the next deploy has to wait for it.
LOCK = 8
# As Python names them: `django.db.utils.ProgrammingError: …`, `CommandError: …`; and what stops nginx.
ERROR = re.compile(r"\s*(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Exit)\b.*|.*\[emerg\].*")


def lock_descriptors() -> tuple[int, ...]:
    """The descriptor of the lock, if it is held."""
    try:
        os.fstat(LOCK)
    except OSError:
        return ()
    return (LOCK,)


def run(
    *command: str, stdin: str | None = None, timeout: float = 600, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command apart from the terminal, so that Ctrl-C reaches only us; nothing is raised for its status.

    Raises DeployError after `timeout` seconds.
    """
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            input=stdin or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            pass_fds=lock_descriptors(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else str(error.stdout or "")
        raise DeployError(f"it did not end within {timeout:.0f} s", said) from None


def last_line(text: str) -> str:
    """The last line of `text` that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def reason(text: str) -> str:
    """The line of `text` that says best what went wrong: the last that names an error, else the last."""
    named = [line.strip() for line in text.splitlines() if ERROR.match(line)]
    return named[-1] if named else last_line(text)


def docker(*arguments: str, stdin: str | None = None, timeout: float = 600) -> str:
    """What docker printed. Raises DeployError when it fails."""
    done = run("docker", *arguments, stdin=stdin, timeout=timeout)
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise DeployError(reason(said) or f"docker {arguments[0]} failed", said)
    return done.stdout


@dataclass(frozen=True)
class Container:
    """A container of the project."""

    id: str
    name: str
    service: str
    image: str
    image_name: str
    running: bool
    restarts: int
    exit_code: int
    health: str
    environment: dict[str, str]
    created: str
    # Address (empty: all) and port of the host, by the port inside.
    ports: dict[str, tuple[str, str]]
    networks: tuple[str, ...]

    @property
    def generation(self) -> int:
        """The number in its socket's name; 0 for a container that has none."""
        number = self.environment.get("GENERATION", "")
        return int(number) if number.isdigit() else 0

    @property
    def release(self) -> str:
        """The release it was told to be."""
        return self.environment.get("RELEASE", "")

    @property
    def socket(self) -> str:
        """The name of its own socket: see services/web/serve.py."""
        return f"{self.generation}-{self.id[:12]}.sock"


def container(found: dict[str, Any]) -> Container:
    """What matters of `docker inspect`."""
    state, labels = found["State"], found["Config"]["Labels"]
    return Container(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        service=labels.get(f"{LABEL}.service", ""),
        image=found["Image"],
        image_name=found["Config"]["Image"],
        running=bool(state["Running"]) and not state.get("Restarting"),
        restarts=int(found.get("RestartCount", 0)),
        exit_code=int(state["ExitCode"]),
        health=(state.get("Health") or {}).get("Status", ""),
        environment=dict(item.partition("=")[::2] for item in found["Config"]["Env"] or []),
        created=found["Created"],
        ports={
            inside: (bound[0]["HostIp"], bound[0]["HostPort"])
            for inside, bound in (found["HostConfig"]["PortBindings"] or {}).items()
            if bound
        },
        networks=tuple(found["NetworkSettings"]["Networks"]),
    )


class Engine:
    """The containers and images of one project."""

    def __init__(self, project: str, mode: str = "prod") -> None:
        self.project = project
        outside = ("s3",) if mode == "prod" and os.environ.get("REPO_S3_BUCKET") else ()
        self.files = [f"compose/{name}.yaml" for name in ("compose", mode, *outside)]

    def compose(
        self, *arguments: str, environment: dict[str, str], timeout: float = 900, plain: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of Compose on the project; `environment` is what the compose files are told."""
        files = [part for file in self.files for part in ("--file", str(ROOT / file))]
        return run(
            "docker", "compose", "--progress", "plain" if plain else "quiet", "--project-name", self.project,
            *files, *arguments, environment=environment, timeout=timeout,
        )  # fmt: skip

    def containers(self, service: str, oneoff: bool = False) -> list[Container]:
        """The containers of a service, running or not, those of the newest generation first."""
        ids = docker("ps", "--all", "--quiet", "--no-trunc", *options(self.project, service, oneoff=oneoff)).split()
        # One that is gone by now is not among the answers.
        text = run("docker", "container", "inspect", *ids).stdout if ids else ""
        found = map(container, json.loads(text or "[]"))
        return sorted(found, key=lambda item: (item.generation, item.created), reverse=True)

    def make_beside(self, services: tuple[str, ...], environment: dict[str, str]) -> dict[str, Container]:
        """Have Compose make one more container of each service, not started; by their service. Raises DeployError."""
        there = {service: {item.id for item in self.containers(service)} for service in services}
        scales = [part for service in services for part in ("--scale", f"{service}={len(there[service]) + 1}")]
        made = self.compose(
            "up", "--no-start", "--no-deps", "--no-recreate", *scales, *services, environment=environment
        )
        if made.returncode:
            raise DeployError(f"Compose makes no new {' and '.join(services)}: {reason(made.stderr)}", made.stderr)
        new = {}
        for service in services:
            found = [item for item in self.containers(service) if item.id not in there[service]]
            if len(found) != 1:
                raise DeployError(f"Compose made {len(found)} new containers of {service}, not one", made.stderr)
            new[service] = found[0]
        return new

    def inspect(self, identity: str) -> Container | None:
        """A container by its id; None when it is gone."""
        done = run("docker", "container", "inspect", identity)
        return None if done.returncode else container(json.loads(done.stdout)[0])

    def would_stay(self, service: str, environment: dict[str, str]) -> bool:
        """Whether Compose would leave the containers of a service as they are.

        Asked of `up` itself: what `config --hash` prints is not what `up` compares.
        """
        done = self.compose("--dry-run", "up", "--detach", "--no-deps", service, environment=environment, plain=True)
        return done.returncode == 0 and not re.search(
            r"\b(Recreate|Create)d?$", done.stderr + done.stdout, re.MULTILINE
        )

    def image(self, name: str) -> str:
        """The id of an image; empty when it is not here."""
        done = run("docker", "image", "inspect", "--format", "{{.Id}}", name)
        return done.stdout.strip() if done.returncode == 0 else ""

    def postgres(self, image: str) -> int:
        """The major version of PostgreSQL in an image, by the path that it finds its programs on; 0 without one."""
        found = re.search(
            r"/postgresql/(\d+)/bin", docker("image", "inspect", "--format", "{{json .Config.Env}}", image)
        )
        return int(found[1]) if found else 0

    def serve(self, where: Container, *arguments: str, timeout: float = 120) -> str:
        """Run this checkout's serve.py in a container of web, whatever release that is. Raises DeployError."""
        script = (ROOT / "services/web/serve.py").read_text(encoding="utf-8")
        return docker("exec", "--interactive", where.id, "python", "-", *arguments, stdin=script, timeout=timeout)

    def logs(self, where: Container, lines: int = 20) -> str:
        """The last words of a container."""
        done = run("docker", "logs", "--tail", str(lines), where.id)
        return done.stdout + done.stderr

    def last_check(self, where: Container) -> str:
        """What the last health check said."""
        template = "{{range .State.Health.Log}}{{println .Output}}{{end}}"
        return last_line(run("docker", "inspect", "--format", template, where.id).stdout)

    def remove(self, which: Iterable[Container]) -> None:
        """Remove containers at once: those that have had no traffic."""
        for item in which:
            run("docker", "rm", "--force", "--volumes", item.id)

    def stop(self, which: Iterable[Container]) -> None:
        """Stop containers together, each within its grace period, and remove them."""
        items = list(which)
        if items:
            ids = [item.id for item in items]
            run("docker", "update", "--cpu-shares", "1024", *ids)
            run("docker", "stop", *ids)
            run("docker", "rm", "--volumes", *ids)
