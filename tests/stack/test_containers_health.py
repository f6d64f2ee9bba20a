"""Health checks that can fail: what each watches is broken, it says so, and it recovers."""

from __future__ import annotations

import signal

import pytest

from tests.stack.containers import SERVICES, DockerStack
from tests.stack.local import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_crashes_is_started_again(docker_prod: DockerStack, service: str) -> None:
    before = docker_prod.inspect(service)["RestartCount"]
    docker_prod.send_signal_to_first(service, signal.SIGKILL)
    wait_for(lambda: docker_prod.inspect(service)["RestartCount"] > before, 60, f"{service} is started again")
    docker_prod.wait_for_health(service, "healthy", 90)
    wait_for(lambda: docker_prod.http.get("/readyz").status == 200, 30, "the site is ready again")


@pytest.mark.parametrize("service", SERVICES)
def test_a_frozen_service_is_unhealthy_and_recovers(docker_prod: DockerStack, service: str) -> None:
    """Frozen, it still takes connections: only an answer tells."""
    docker_prod.wait_for_health(service, "healthy")
    docker_prod.send_signal(service, signal.SIGSTOP)
    try:
        docker_prod.wait_for_health(service, "unhealthy")
    finally:
        docker_prod.send_signal(service, signal.SIGCONT)
    docker_prod.wait_for_health(service, "healthy")
    wait_for(lambda: docker_prod.http.get("/readyz").status == 200, 30, "the site is ready again")


def test_the_proxy_is_unhealthy_when_it_answers_otherwise(docker_prod: DockerStack) -> None:
    configuration = "/tmp/nginx/conf/unknown.conf"
    docker_prod.execute("proxy", "sed", "-i", "s/return 200/return 500/", configuration)
    docker_prod.execute("proxy", "bash", "-c", "kill -HUP 1")
    try:
        docker_prod.wait_for_health("proxy", "unhealthy")
    finally:
        docker_prod.execute("proxy", "sed", "-i", "s/return 500/return 200/", configuration)
        docker_prod.execute("proxy", "bash", "-c", "kill -HUP 1")
    docker_prod.wait_for_health("proxy", "healthy")


def test_web_is_unhealthy_without_the_database_and_the_proxy_is_not(docker_prod: DockerStack) -> None:
    docker_prod.psql("ALTER ROLE slipway_app NOLOGIN")
    docker_prod.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'slipway_app'")
    try:
        docker_prod.wait_for_health("web", "unhealthy")
        assert docker_prod.health("proxy") == "healthy"
        assert docker_prod.http.get("/readyz").status == 503
    finally:
        docker_prod.psql("ALTER ROLE slipway_app LOGIN")
    docker_prod.wait_for_health("web", "healthy")
    docker_prod.wait_for_health("worker", "healthy")
