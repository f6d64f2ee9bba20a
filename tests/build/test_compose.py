"""What the merged compose files promise, of every service, in both overlays."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack.local import ROOT
from tests.stack.needs import lacking

Config = dict[str, Any]
LONG_RUNNING = ("db", "web", "worker", "proxy")
SECRET = re.compile(r"password|secret|token|private|credential", re.IGNORECASE)


@pytest.fixture(scope="module", params=["dev", "prod"])
def config(request: pytest.FixtureRequest) -> Config:
    """The merged configuration, with the services of every profile."""
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        lacking("Docker Compose is not installed")
    done = subprocess.run(
        [
            "docker", "compose", "--profile", "*", "--project-name", "slipway-test", "--file", "compose/compose.yaml",
            "--file", f"compose/{request.param}.yaml", "config", "--format", "json",
        ],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded: Config = json.loads(done.stdout)
    loaded["mode"] = request.param
    return loaded


def services(config: Config) -> Iterator[tuple[str, Config]]:
    """Name and configuration of each service."""
    assert {*LONG_RUNNING, "release", "manage"} <= set(config["services"])
    yield from config["services"].items()


def long_running(config: Config) -> tuple[str, ...]:
    """The services that are meant to stay; only production has backups."""
    return (*LONG_RUNNING, "backup") if config["mode"] == "prod" else LONG_RUNNING


def mounts(service: Config) -> dict[str, Config]:
    """The mounts of a service by where they are in the container."""
    return {mount["target"]: mount for mount in service.get("volumes", [])}


def test_no_service_runs_as_root(config: Config) -> None:
    for name, service in services(config):
        uid, gid = service["user"].split(":")
        assert int(uid) >= 1000, name
        assert int(gid) >= 1000, name


def test_every_service_drops_all_capabilities_and_gains_none(config: Config) -> None:
    for name, service in services(config):
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert not service.get("privileged"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not {"pid", "ipc", "userns_mode", "network_mode", "devices"} & set(service), name


def test_the_root_of_every_service_is_read_only_and_its_tmpfs_bounded(config: Config) -> None:
    for name, service in services(config):
        assert service["read_only"] is True, name
        assert service["tmpfs"], name
        for tmpfs in service["tmpfs"]:
            assert "size=" in tmpfs, (name, tmpfs)
            assert "exec" not in tmpfs.replace("noexec", ""), (name, tmpfs)


def test_every_service_has_limits(config: Config) -> None:
    for name, service in services(config):
        limits = service["deploy"]["resources"]["limits"]
        assert float(limits["cpus"]) > 0, name
        assert 0 < int(limits["memory"]) <= 2**30, name
        assert 0 < limits["pids"] <= 200, name


def test_every_log_is_rotated(config: Config) -> None:
    for name, service in services(config):
        assert service["logging"]["driver"] == "json-file", name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name


def test_every_long_running_service_has_a_health_check_of_its_own(config: Config) -> None:
    tests = {name: config["services"][name]["healthcheck"] for name in long_running(config)}
    for name, check in tests.items():
        assert check["test"][0] in ("CMD", "CMD-SHELL"), name
        assert not check.get("disable"), name
        assert check["interval"] == "10s", name
        assert check["retries"] == 3, name
        assert check["timeout"] == "10s", name
    assert len({str(check["test"]) for check in tests.values()}) == len(tests)


def test_the_time_to_stop_is_longer_than_what_may_be_in_hand(config: Config) -> None:
    def seconds(service: str) -> int:
        minutes, found = re.fullmatch(r"(?:(\d+)m)?(\d+)s", config["services"][service]["stop_grace_period"]).groups()  # type: ignore[union-attr]
        return 60 * int(minutes or 0) + int(found)

    harakiri = int(re.search(r"^harakiri = (\d+)$", (ROOT / "services/web/uwsgi.ini").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    shutdown = int(re.search(r"worker_shutdown_timeout (\d+)s", (ROOT / "services/proxy/nginx.conf").read_text())[1])  # type: ignore[index]
    assert seconds("web") > harakiri
    assert seconds("worker") > harakiri
    assert seconds("proxy") > shutdown
    assert seconds("db") >= 60


def test_the_proxy_shares_no_network_with_anything(config: Config) -> None:
    networks = {name: set(service["networks"]) for name, service in services(config)}
    assert networks["proxy"] == {"edge"}
    for name, joined in networks.items():
        assert name == "proxy" or not joined & networks["proxy"], name


def test_the_data_network_is_internal_and_few_reach_the_world(config: Config) -> None:
    assert config["networks"]["data"]["internal"] is True
    outside = {name for name, network in config["networks"].items() if not network.get("internal")}
    reach = {name for name, service in services(config) if set(service["networks"]) & outside}
    assert reach == ({"proxy", "worker", "acme"} if config["mode"] == "prod" else {"proxy", "worker"})


def test_only_the_proxy_publishes_ports(config: Config) -> None:
    publishing = {name for name, service in services(config) if service.get("ports") or service.get("expose")}
    assert publishing == {"proxy"}


def test_development_listens_on_this_machine_and_production_to_the_world(config: Config) -> None:
    wanted = {"127.0.0.1"} if config["mode"] == "dev" else {None}
    assert {port.get("host_ip") for port in config["services"]["proxy"]["ports"]} == wanted


def test_no_environment_holds_a_secret(config: Config) -> None:
    for name, service in services(config):
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                assert variable.endswith("_FILE"), (name, variable)
                assert re.fullmatch(r"/run/secrets/[a-z_]+", value), (name, variable, value)


def test_each_consumer_sees_only_its_own_secrets_and_cannot_change_them(config: Config) -> None:
    seen = {name: mounts(service).get("/run/secrets") for name, service in services(config)}
    assert seen.pop("proxy") is None
    assert all(mount and mount["read_only"] for mount in seen.values())
    volumes = {name: mount["source"] for name, mount in seen.items() if mount}
    assert volumes["db"] == "secrets-db"
    assert volumes["web"] == "secrets-web"
    # The password of the mail server is the worker's alone.
    assert volumes["worker"] == "secrets-worker"
    assert volumes["release"] == "secrets-release"
    assert volumes.get("acme", "secrets-acme") == "secrets-acme"
    assert volumes.get("backup") == ("secrets-backup" if config["mode"] == "prod" else None)
    assert volumes["manage"] not in ("secrets-db", "secrets-web", "secrets-worker")


def test_the_proxy_cannot_write_to_what_it_serves_or_to_the_sockets(config: Config) -> None:
    found = mounts(config["services"]["proxy"])
    for target in ("/run/web", "/srv/static", "/srv/media", "/srv/configuration"):
        assert found[target]["read_only"] is True, target
    assert {mount["source"] for mount in found.values()} <= {
        "socket", "static", "media", "certificates", "configuration",
    }  # fmt: skip


def test_the_socket_volume_is_where_web_and_proxy_meet_and_nobody_else(config: Config) -> None:
    using = {name for name, service in services(config) for mount in service["volumes"] if mount["source"] == "socket"}
    assert using == {"web", "proxy"}


def test_the_database_has_its_volume_to_itself_but_for_the_backups_which_cannot_write(config: Config) -> None:
    using = {
        name: bool(mount.get("read_only"))
        for name, service in services(config)
        for mount in service["volumes"]
        if mount["source"] == "pgdata"
    }
    assert using == ({"db": False, "backup": True} if config["mode"] == "prod" else {"db": False})


def test_only_the_backup_container_has_the_repository_and_its_passphrase(config: Config) -> None:
    """Whoever takes the database or the site over can neither read nor destroy their backups."""
    using = {name for name, service in services(config) for mount in service["volumes"] if mount["source"] == "backups"}
    keys = {
        name
        for name, service in services(config)
        for mount in service["volumes"]
        if mount["source"] == "secrets-backup"
    }
    assert using == keys == ({"backup"} if config["mode"] == "prod" else set())


def test_the_backup_container_changes_nothing_of_the_site(config: Config) -> None:
    if config["mode"] == "dev":
        assert "backup" not in config["services"]
        return
    found = mounts(config["services"]["backup"])
    writable = {mount["source"] for mount in found.values() if not mount.get("read_only")}
    assert writable == {"backups", "archived"}
    assert mounts(config["services"]["db"])["/srv/archived"]["read_only"] is True
    assert config["networks"]["backup"]["internal"] is True
    assert set(config["services"]["backup"]["networks"]) == {"backup"}
    assert [name for name, service in services(config) if "backup" in service["networks"]] == ["backup"]


def test_the_archive_outlives_the_database(config: Config) -> None:
    needed = config["services"]["db"].get("depends_on", {})
    assert needed.get("backup", {}).get("condition") == ("service_started" if config["mode"] == "prod" else None)


def test_the_long_running_services_cannot_write_to_the_source_tree(config: Config) -> None:
    bound = {
        name: mount for name, service in services(config) for mount in service["volumes"] if mount["type"] == "bind"
    }
    if config["mode"] == "prod":
        assert bound == {}
        return
    assert set(bound) == {"release", "web", "worker", "manage"}
    for name, mount in bound.items():
        assert mount["target"] == "/app"
        assert name == "manage" or mount["read_only"] is True, name


def test_nothing_of_docker_itself_is_mounted(config: Config) -> None:
    for name, service in services(config):
        assert not any("docker.sock" in mount["source"] for mount in service["volumes"]), name


def test_a_release_comes_before_the_code_that_needs_it(config: Config) -> None:
    for name in ("web", "worker"):
        needed = config["services"][name]["depends_on"]
        assert needed["db"]["condition"] == "service_healthy", name
        assert needed["release"]["condition"] == "service_completed_successfully", name
    assert config["services"]["proxy"]["depends_on"]["web"]["condition"] == "service_healthy"


def test_production_starts_again_after_a_crash_and_development_does_not(config: Config) -> None:
    wanted = "unless-stopped" if config["mode"] == "prod" else None
    for name in long_running(config):
        assert config["services"][name].get("restart") == wanted, name
    assert "restart" not in config["services"]["release"]


def test_production_runs_without_debug_and_without_the_development_image(config: Config) -> None:
    for name in ("web", "worker", "release"):
        service = config["services"][name]
        assert service["environment"]["DEBUG"] == ("0" if config["mode"] == "prod" else "1")
        assert service["image"] == ("slipway/web:dev" if config["mode"] == "prod" else "slipway/web-dev:dev")
