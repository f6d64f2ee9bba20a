"""What compose/ promises of every container, seen in the containers that run."""

from __future__ import annotations

import re

import pytest

from tests.stack.containers import SERVICES, DockerStack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
every_service = pytest.mark.parametrize("service", [*SERVICES, "backup"])
SECRETS = (
    "secret_key", "postgres_password", "owner_password", "app_password", "admin_password", "backup_password",
    "backup_passphrase",
)  # fmt: skip


def every_status(stack: DockerStack, service: str) -> list[dict[str, str]]:
    """What the kernel says of each process of a service."""
    # Of a process that has just ended nothing can be read.
    texts = stack.execute(
        service, "bash", "-c", "for file in /proc/[0-9]*/status; do cat $file 2>/dev/null; echo; done"
    )
    found = [dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE)) for text in texts.split("\n\n") if text.strip()]
    assert found
    return found


def statuses(stack: DockerStack, service: str) -> list[dict[str, str]]:
    """The status of each process of a service, but for a health check's that the runtime is just setting up."""
    return [status for status in every_status(stack, service) if not status["Name"].startswith("runc:")]


@every_service
def test_no_process_is_roots(docker_prod: DockerStack, service: str) -> None:
    for status in statuses(docker_prod, service):
        assert set(status["Uid"].split()) == {docker_prod.inspect(service)["Config"]["User"].split(":")[0]}, status[
            "Name"
        ]
        assert "0" not in status["Gid"].split(), status["Name"]
        assert "0" not in status["Groups"].split(), status["Name"]


@every_service
def test_no_process_has_or_can_gain_a_capability(docker_prod: DockerStack, service: str) -> None:
    for status in statuses(docker_prod, service):
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, (status["Name"], name)
        assert status["NoNewPrivs"] == "1", status["Name"]
        assert status["Seccomp"] == "2", status["Name"]


@every_service
def test_the_root_is_read_only(docker_prod: DockerStack, service: str) -> None:
    assert docker_prod.inspect(service)["HostConfig"]["ReadonlyRootfs"] is True
    mounts = docker_prod.execute(service, "cat", "/proc/self/mounts").splitlines()
    root = next(line.split() for line in mounts if line.split()[1] == "/")
    assert "ro" in root[3].split(",")


@every_service
def test_nothing_put_into_the_temporary_directory_runs(docker_prod: DockerStack, service: str) -> None:
    said = docker_prod.execute(
        service, "bash", "-c", "cp /bin/true /tmp/probe && /tmp/probe; echo $?; rm -f /tmp/probe"
    )
    assert said.split()[-1] == "126"


# What each service may be reached at by the network; uWSGI has a socket in a volume.
LISTENING: dict[str, set[int]] = {"db": {5432}, "backup": set(), "web": set(), "worker": set(), "proxy": {8080, 8443}}


@every_service
def test_nothing_listens_but_the_server(docker_prod: DockerStack, service: str) -> None:
    """A line of /proc/net/tcp: number, local address, remote address, state. 0A is LISTEN."""
    sockets = docker_prod.execute(service, "bash", "-c", "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null")
    listening = [line.split()[1] for line in sockets.splitlines() if line.split()[3] == "0A"]
    # Docker's own name server, 127.0.0.11, is in the network of every container.
    ports = {int(address.rpartition(":")[2], 16) for address in listening if not address.startswith("0B00007F:")}
    assert ports == LISTENING[service]


@every_service
def test_memory_processors_and_processes_are_limited(docker_prod: DockerStack, service: str) -> None:
    limits = docker_prod.inspect(service)["HostConfig"]
    assert 0 < limits["Memory"] <= 2**30
    assert limits["NanoCpus"] > 0
    assert 0 < limits["PidsLimit"] <= 200
    assert limits["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}


@every_service
def test_no_environment_and_no_command_line_holds_a_secret(docker_prod: DockerStack, service: str) -> None:
    values = [docker_prod.secret(name).read_text().strip() for name in SECRETS]
    assert all(len(value) >= 24 for value in values)
    told = str(docker_prod.inspect(service))
    # A process of another user's namespace would hide its environment; these are all this user's own.
    told += docker_prod.execute(
        service, "bash", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"
    )
    assert "PATH=" in told
    assert [name for name, value in zip(SECRETS, values, strict=True) if value in told] == []


def test_the_logs_hold_no_secret(docker_prod: DockerStack) -> None:
    logs = docker_prod.logs()
    for name in SECRETS:
        assert docker_prod.secret(name).read_text().strip() not in logs, name
