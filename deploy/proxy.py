"""Brings nginx to another release: a new configuration by a reload, a new image by the one gap that there is.

One address and port of the host belong to one container at a time, so between the old nginx and the new one nobody
listens. The gap is kept short and is measured: the new nginx runs and is healthy before the old one stops, on a network
that leads nowhere; Docker opens a container's ports only when it joins one that leads out.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import subprocess
import tarfile
import threading
import time
from typing import Any

from deploy.engine import ROOT, Container, Engine, docker, reason, run
from deploy.labels import LABEL
from deploy.progress import DeployError
from deploy.smoke import Site

# What is in hand when nginx is replaced has this many seconds to be finished.
IN_HAND_SECONDS = "1"
PROBE_SECONDS = 0.02
POLL_SECONDS = 0.2
WHERE = "/opt/proxy"


class Gap:
    """Asks the site again and again for the length of a `with` block; `seconds`: the longest time without an answer."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.seconds = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        """Probe until the block is left and the site answers again."""
        answered, failed = time.monotonic(), False
        deadline = float("inf")
        while True:
            try:
                self.site.get("/favicon.ico", timeout=0.5)
                now = time.monotonic()
                if failed:
                    self.seconds = max(self.seconds, now - answered)
                answered, failed = now, False
            except (OSError, http.client.HTTPException):
                failed = True
            if self.over.is_set():
                deadline = min(deadline, time.monotonic() + 10)
                if not failed or time.monotonic() > deadline:
                    return
            time.sleep(PROBE_SECONDS)

    def __enter__(self) -> Gap:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(15)


def image(identity: str) -> dict[str, Any]:
    """What Docker knows of an image."""
    found: dict[str, Any] = json.loads(docker("image", "inspect", identity))[0]
    return found


def same_program(one: str, other: str) -> bool:
    """Whether two images differ in the configuration alone, which is their last layer."""
    first, second = image(one), image(other)
    keys = ("Env", "Entrypoint", "Cmd", "User", "StopSignal", "WorkingDir")
    return first["RootFS"]["Layers"][:-1] == second["RootFS"]["Layers"][:-1] and all(
        first["Config"].get(key) == second["Config"].get(key) for key in keys
    )


def configuration(identity: str) -> bytes:
    """The configuration in an image, as a tar archive of the directory `proxy`."""
    carrier = docker("create", "--network", "none", identity).strip()
    try:
        return run_binary("docker", "cp", f"{carrier}:{WHERE}", "-")
    finally:
        run("docker", "rm", "--volumes", carrier)


def run_binary(*command: str, stdin: bytes = b"") -> bytes:
    """What a command wrote. Raises DeployError when it fails."""
    done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, check=False, timeout=120)
    if done.returncode:
        raise DeployError(reason(done.stderr.decode(errors="replace")) or f"{command[1]} failed")
    return done.stdout


def fingerprint(archive: bytes) -> str:
    """The hash of a configuration, as services/proxy/start makes it of its own directory."""
    lines = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None:
                name = member.name.partition("/")[2]
                lines.append(f"{hashlib.sha256(file.read()).hexdigest()}  ./{name}\n")
    return hashlib.sha256("".join(sorted(lines, key=lambda line: line.partition("  ")[2])).encode()).hexdigest()


def has(proxy: Container, archive: bytes) -> bool:
    """Whether nginx runs with a configuration, and will again when the container is started anew."""
    done = run("docker", "exec", proxy.id, "cat", "/tmp/nginx/fingerprint", "/srv/configuration/is")  # noqa: S108
    return done.stdout.split() == [fingerprint(archive)] * 2


def reload(engine: Engine, proxy: Container, archive: bytes) -> None:
    """Have nginx take another configuration without dropping a connection; a broken one is refused, the old one kept.

    It is also put where the container looks when it starts again: its image still has the older one.
    """
    directory = f"/tmp/configuration-{fingerprint(archive)[:12]}"  # noqa: S108
    run_binary(
        "docker", "exec", "--interactive", proxy.id, "sh", "-c",
        f"rm -rf {directory} && mkdir {directory} && tar -x -C {directory} --strip-components 1", stdin=archive,
    )  # fmt: skip
    done = run("docker", "exec", proxy.id, "sh", f"{directory}/start", "reload")
    run("docker", "exec", proxy.id, "rm", "-rf", directory)
    if done.returncode:
        said = done.stderr.strip()
        raise DeployError(f"nginx refuses the new configuration and keeps the old one: {reason(said)}", said)
    own = fingerprint(configuration(proxy.image))
    volume = f"{engine.project}_configuration:/srv/configuration"
    carrier = docker("create", "--network", "none", "--volume", volume, proxy.image).strip()
    try:
        run_binary("docker", "cp", "-", f"{carrier}:/srv/configuration", stdin=archive)
        note = io.BytesIO()
        with tarfile.open(fileobj=note, mode="w") as tar:
            for name, text in (("for", own), ("is", fingerprint(archive))):
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(text), 0o444
                tar.addfile(member, io.BytesIO(text.encode()))
        run_binary("docker", "cp", "-", f"{carrier}:/srv/configuration", stdin=note.getvalue())
    finally:
        run("docker", "rm", carrier)


def check(engine: Engine, environment: dict[str, str]) -> None:
    """Have the new image render its configuration and nginx test it. Raises DeployError."""
    done = engine.compose(
        "run", "--rm", "--no-deps", "--no-TTY", "proxy", "render", environment=environment, timeout=60
    )
    if done.returncode:
        raise DeployError(f"nginx refuses the new configuration: {reason(done.stderr)}", done.stderr)


def replace(engine: Engine, old: Container, environment: dict[str, str], site: Site) -> float:
    """Put a container of the new image in the place of the old one; the gap in seconds. Raises DeployError.

    One that is not healthy is removed, and the old one has not stopped; one that does not answer then gives way to it.
    """
    new = engine.make_beside(("proxy",), environment)["proxy"]
    forget_nowhere(engine)
    try:
        docker("network", "create", "--internal", "--label", f"{LABEL}.project={engine.project}", nowhere(engine))
        for network in new.networks:
            docker("network", "disconnect", network, new.id)
        docker("network", "connect", nowhere(engine), new.id)
        docker("start", new.id)
        problem = sickness(engine, new)
    except DeployError as error:
        problem = str(error)
    if problem:
        logs = engine.logs(new)
        engine.remove([new])
        forget_nowhere(engine)
        raise DeployError(f"the new nginx does not start ({problem}), the old one goes on", logs)
    with Gap(site) as gap:
        run("docker", "stop", "--time", IN_HAND_SECONDS, old.id)
        joined = [run("docker", "network", "connect", "--alias", "proxy", name, new.id) for name in new.networks]
        problem = next((reason(item.stderr) for item in joined if item.returncode), "") or smoke_of(site)
        if problem:
            logs = engine.logs(new)
            engine.remove([new])
            run("docker", "start", old.id)
    forget_nowhere(engine)
    if problem:
        raise DeployError(f"the new nginx does not answer ({problem}), the old one does again", logs)
    # The gateway, which no limit counts, is known only now.
    run("docker", "exec", new.id, f"{WHERE}/start", "again")
    run("docker", "rm", "--volumes", old.id)
    return gap.seconds


def nowhere(engine: Engine) -> str:
    """The name of the network on which a new nginx starts."""
    return f"{engine.project}_nowhere"


def forget_nowhere(engine: Engine) -> None:
    """Remove that network, whoever is on it."""
    for item in engine.containers("proxy"):
        if nowhere(engine) in item.networks:
            run("docker", "network", "disconnect", "--force", nowhere(engine), item.id)
    run("docker", "network", "rm", nowhere(engine))


def sickness(engine: Engine, new: Container, seconds: float = 60.0) -> str:
    """Wait until a container is healthy; what is wrong when it does not become so."""
    deadline = time.monotonic() + seconds
    while True:
        found = engine.inspect(new.id)
        if found is None:
            return "it is gone"
        if found.restarts or not found.running:
            return reason(engine.logs(new)) or f"it ends with status {found.exit_code}"
        if found.health == "healthy":
            return ""
        if time.monotonic() > deadline:
            return engine.last_check(new) or f"it is not healthy after {seconds:.0f} s"
        time.sleep(POLL_SECONDS)


def smoke_of(site: Site, seconds: float = 10.0) -> str:
    """Wait until nginx answers; what is wrong when it does not."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            site.get("/favicon.ico", timeout=1)
            return ""
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > deadline:
                return str(error)
        time.sleep(PROBE_SECONDS)


def settle(engine: Engine) -> None:
    """After a deploy that was killed while it replaced nginx: one runs where it can be reached, the others are gone."""
    there = engine.containers("proxy")
    # One that has joined no other network has never had the ports.
    reachable = [item for item in there if set(item.networks) - {nowhere(engine)}]
    kept = next((item for item in reachable if item.running), None) or next(
        (item for item in reachable if run("docker", "start", item.id).returncode == 0), None
    )
    if kept:
        engine.remove(item for item in there if item.id != kept.id)
    forget_nowhere(engine)
