"""Who can reach whom. Each refusal stands beside the same attempt from where it must succeed."""

from __future__ import annotations

import pytest

from tests.stack.containers import DockerStack, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def address(stack: DockerStack, service: str, network: str) -> str:
    """The address of a service in a network."""
    return str(stack.inspect(service)["NetworkSettings"]["Networks"][f"{stack.project}_{network}"]["IPAddress"])


def connects(stack: DockerStack, service: str, host: str, port: int) -> bool:
    """Whether a process of a service can open a TCP connection."""
    said = stack.execute(
        service, "timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port} && echo open", check=False
    )
    return said.strip() == "open"


def test_the_proxy_reaches_neither_database_nor_application(docker_prod: DockerStack) -> None:
    assert connects(docker_prod, "web", "db", 5432)
    assert connects(docker_prod, "web", address(docker_prod, "db", "data"), 5432)
    for service in ("db", "web", "worker"):
        assert not docker_prod.execute("proxy", "getent", "hosts", service, check=False).strip(), service
    assert not connects(docker_prod, "proxy", address(docker_prod, "db", "data"), 5432)


def test_the_application_reaches_nothing_outside_and_the_worker_does(docker_prod: DockerStack) -> None:
    gateway = docker(
        "network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", f"{docker_prod.project}_edge"
    ).strip()
    assert connects(docker_prod, "worker", gateway, docker_prod.http_port)
    for service in ("web", "db"):
        assert not connects(docker_prod, service, gateway, docker_prod.http_port), service


def test_only_the_proxy_is_published(docker_prod: DockerStack) -> None:
    published = {
        service: [port for port, bound in docker_prod.inspect(service)["NetworkSettings"]["Ports"].items() if bound]
        for service in ("db", "web", "worker", "proxy")
    }
    assert published == {"db": [], "web": [], "worker": [], "proxy": ["8080/tcp", "8443/tcp"]}


def test_web_listens_on_no_network_at_all(docker_prod: DockerStack) -> None:
    tables = docker_prod.execute("web", "cat", "/proc/net/tcp", "/proc/net/tcp6")
    # State 0A is LISTEN; Docker's own resolver listens on 127.0.0.11.
    listening = [
        line.split()[1] for line in tables.splitlines() if " 0A " in line and not line.split()[1].startswith("0B00007F")
    ]
    assert listening == []


def test_the_proxy_cannot_touch_the_sockets(docker_prod: DockerStack) -> None:
    assert "web.sock" in docker_prod.execute("proxy", "ls", "/run/web")
    for command in ("touch /run/web/new", "rm -f /run/web/web.sock", "ln -sfn x /run/web/web.sock"):
        assert "Read-only file system" in docker_prod.execute("proxy", "bash", "-c", command, check=False), command


def test_the_directory_of_the_sockets_is_the_groups_and_holds_nothing_else(docker_prod: DockerStack) -> None:
    assert docker_prod.execute("web", "stat", "-c", "%a %u %g", "/run/web").split() == ["2770", "10001", "10010"]
    names = docker_prod.execute("web", "ls", "-A", "/run/web").split()
    assert all(name.endswith(".sock") for name in names)
    modes = docker_prod.execute("web", "bash", "-c", "find /run/web -type s -printf '%m %g\\n'").split("\n")
    assert {mode for mode in modes if mode} == {"660 slipway"}
