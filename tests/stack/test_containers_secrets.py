"""Secrets: who has them, who does not, and what happens when one is lost."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stack.containers import DockerStack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

NAMES = ("secret_key", "postgres_password", "owner_password", "app_password", "admin_password", "backup_passphrase")
DELIVERED = {
    "db": {"postgres_password", "owner_password", "app_password", "backup_password"},
    "backup": {"backup_password", "backup_passphrase"},
    "web": {"secret_key", "app_password"},
    "worker": {"secret_key", "app_password", "email_password"},
}


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of the error; fails when there is none, or a second."""
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return errors[0]


@contextmanager
def without(file: Path) -> Iterator[None]:
    """The file is gone for the block."""
    elsewhere = file.with_name(f"{file.name}.elsewhere")
    file.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(file)


def test_the_master_copies_are_their_owners_alone(docker_prod: DockerStack) -> None:
    directory = docker_prod.secret("secret_key").parent
    for path in (directory, directory.parent):
        assert oct(path.stat().st_mode)[-3:] == "700"
    for name in NAMES:
        found = docker_prod.secret(name).stat()
        assert (oct(found.st_mode)[-3:], found.st_uid) == ("600", os.getuid()), name
    assert len({docker_prod.secret(name).read_text() for name in NAMES}) == len(NAMES)


def test_git_never_sees_them(docker_prod: DockerStack) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=docker_prod.checkout, check=True)
    listed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=docker_prod.checkout,
        capture_output=True,
        text=True,
    ).stdout
    assert "bin/" in listed
    assert ".secrets" not in listed


@pytest.mark.parametrize("service", DELIVERED)
def test_each_container_has_what_it_needs_and_nobody_elses(docker_prod: DockerStack, service: str) -> None:
    user = docker_prod.inspect(service)["Config"]["User"].split(":")[0]
    found = docker_prod.execute(service, "bash", "-c", "cd /run/secrets && stat -c '%n %a %u' *").splitlines()
    assert {line.split()[0] for line in found} == DELIVERED[service]
    assert {tuple(line.split()[1:]) for line in found} == {("400", user)}
    name = min(DELIVERED[service])
    assert docker_prod.execute(service, "cat", f"/run/secrets/{name}") == docker_prod.secret(name).read_text()


@pytest.mark.parametrize("service", DELIVERED)
def test_a_container_cannot_change_its_secrets(docker_prod: DockerStack, service: str) -> None:
    name = min(DELIVERED[service])
    command = f"echo x >/run/secrets/{name} || rm -f /run/secrets/{name} || touch /run/secrets/new"
    assert docker_prod.execute(service, "bash", "-c", command, check=False).count("Read-only file system") == 3


def test_the_proxy_has_none(docker_prod: DockerStack) -> None:
    assert "No such file" in docker_prod.execute("proxy", "ls", "/run/secrets", check=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_secret_is_never_replaced_by_one_that_does_not_fit(docker_prod: DockerStack, name: str) -> None:
    file = docker_prod.secret(name)
    with without(file):
        line = refused(docker_prod.run("up", "prod", check=False))
        assert not file.exists()
    assert re.search(rf"secret \S*.*/{name} is gone: put the file back", line)
    assert docker_prod.http.get("/readyz").status == 200


def test_an_empty_secret_is_one_line(docker_prod: DockerStack) -> None:
    file = docker_prod.secret("app_password")
    kept = file.read_text()
    file.write_text("\n")
    try:
        line = refused(docker_prod.run("up", "prod", check=False))
    finally:
        file.write_text(kept)
    assert "app_password is empty" in line


def test_a_changed_application_password_takes_effect_with_the_next_start(docker_prod: DockerStack) -> None:
    file = docker_prod.secret("app_password")
    kept = file.read_text()
    try:
        for password in ("another-password-with-'quotes'-and-$signs", kept):
            docker_prod.stop()
            file.write_text(password)
            docker_prod.start()
            assert docker_prod.http.get("/readyz").status == 200
    finally:
        file.write_text(kept)


def test_a_superuser_password_that_is_not_the_clusters_is_one_line(docker_prod: DockerStack) -> None:
    file = docker_prod.secret("postgres_password")
    kept = file.read_text()
    docker_prod.stop()
    file.write_text("not-the-password-of-this-cluster")
    try:
        line = refused(docker_prod.run("up", "prod", check=False))
    finally:
        file.write_text(kept)
        docker_prod.start()
    assert "is not the one this cluster was made with" in line
    assert docker_prod.http.get("/readyz").status == 200
