"""The verbs on the Docker engine at the edges: bad input, taken ports, other people's projects, releases that fail."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.stack.containers import LOGGED, RELEASE, SERVICES, DockerStack, docker
from tests.stack.local import copy_checkout, free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line it wrote to stderr; fails when it succeeded, or wrote more."""
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def idle(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerStack]:
    """A checkout in which nothing runs. What a test starts all the same is removed."""
    stack = DockerStack(copy_checkout(tmp_path_factory.mktemp("idle")), "prod")
    yield stack
    stack.remove()


def things(stack: DockerStack) -> str:
    """The ids of all containers and networks of a project; its volumes are data, which is kept."""
    label = f"label=com.docker.compose.project={stack.project}"
    return "".join(docker(*listing, "--quiet", "--filter", label) for listing in (["ps", "--all"], ["network", "ls"]))


@pytest.mark.parametrize(
    ("mode", "variables", "words"),
    [
        ("prod", {"HTTP_PORT": "eighty"}, "HTTP_PORT=eighty is not a port"),
        ("prod", {"HTTPS_PORT": "65536"}, "HTTPS_PORT=65536 is not a port"),
        ("prod", {"HTTP_PORT": "08080"}, "HTTP_PORT=08080 is not a port"),
        ("prod", {"HTTP_PORT": "8443", "HTTPS_PORT": "8443"}, "HTTP_PORT and HTTPS_PORT are both 8443"),
        ("prod", {"DOMAIN": "https://blog.example.org"}, "DOMAIN=https://blog.example.org is not a host name"),
        ("prod", {"DOMAIN": "-x"}, "DOMAIN=-x is not a host name"),
        ("dev", {"PORT": "0"}, "PORT=0 is not a port"),
        ("dev", {"PORT": "80; rm"}, "PORT=80; rm is not a port"),
        ("dev", {"BIND": "everywhere"}, "BIND=everywhere is not an IPv4 address"),
        ("prod", {"BIND": "::1"}, "BIND=::1 is not an IPv4 address"),
        ("prod", {"HEALTHY_SECONDS": "x"}, "HEALTHY_SECONDS=x is no number of seconds"),
        ("dev", {"HEALTHY_SECONDS": "0"}, "HEALTHY_SECONDS=0 is no number of seconds"),
        ("dev", {"PROJECT": "Slipway!"}, "PROJECT=Slipway! is no name of a Compose project"),
    ],
)
def test_a_malformed_variable_is_one_line(idle: DockerStack, mode: str, variables: dict[str, str], words: str) -> None:
    assert words in refused(idle.run("up", mode, check=False, **variables))
    assert things(idle) == ""


def test_a_malformed_release_is_one_line(idle: DockerStack) -> None:
    line = refused(idle.run("up", "prod", check=False, RELEASE="a b"))
    assert "RELEASE=a b is no tag of an image" in line


@pytest.mark.parametrize(("mode", "name"), [("prod", "HTTP_PORT"), ("prod", "HTTPS_PORT"), ("dev", "PORT")])
def test_a_taken_port_is_one_line_and_nothing_is_left_running(idle: DockerStack, mode: str, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refused(idle.run("up", mode, check=False, **{name: port}))
    assert f"port {port} is taken: stop what has it, or choose another, {name}=" in line
    assert things(idle) == ""


def test_another_checkouts_project_is_left_alone(idle: DockerStack) -> None:
    name = f"slipway-test-{secrets.token_hex(4)}"
    labels = {"com.docker.compose.project": name, "com.docker.compose.project.working_dir": "/elsewhere/compose"}
    options = [part for label, value in labels.items() for part in ("--label", f"{label}={value}")]
    other = docker("create", *options, f"slipway/base:{RELEASE}", "true").strip()
    try:
        for verb in (["up", "prod"], ["manage", "check"], ["psql"]):
            line = refused(idle.run(*verb, check=False, PROJECT=name))
            assert f"the project {name} belongs to another checkout, /elsewhere" in line
        assert "nothing runs" in idle.run("down", PROJECT=name).stdout
        assert docker("inspect", "--format", "{{.State.Status}}", other).strip() == "created"
    finally:
        docker("rm", other)


def test_down_and_ps_when_nothing_runs(idle: DockerStack) -> None:
    assert idle.run("down").stdout == "nothing runs\n"
    done = idle.run("ps", check=False)
    assert (done.returncode, done.stdout) == (1, "nothing runs: `make dev` starts it\n")


def test_a_first_release_that_fails_leaves_nothing_running(idle: DockerStack) -> None:
    file = idle.checkout / "services/web/config/management/commands/release.py"
    good = file.read_text()
    file.write_text(
        good.replace("        try:\n", "        raise CommandError('this release cannot be')\n        try:\n", 1)
    )
    try:
        done = idle.run("up", "prod", check=False, RELEASE=idle.project)
    finally:
        file.write_text(good)
        for name in ("web", "proxy", "db", "base"):
            docker("image", "rm", f"slipway/{name}:{idle.project}", check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: CommandError: this release cannot be"
    assert docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={idle.project}") == ""
    # The data it began is kept; the next test begins with none.
    idle.remove()


@pytest.mark.parametrize("step", ["Images", "Secrets", "PostgreSQL", "Release step"])
def test_ctrl_c_before_it_is_up_leaves_nothing_running(idle: DockerStack, step: str) -> None:
    with subprocess.Popen(
        ["bin/containers", "up", "prod"],
        cwd=idle.checkout,
        env=idle.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as starting:
        assert starting.stdout
        assert any(step in line for line in starting.stdout)
        # To the whole group, as a terminal does, in the middle of the next step.
        time.sleep(0.3)
        os.killpg(starting.pid, signal.SIGINT)
        said = starting.stdout.read()
        assert starting.wait(120) == 130, said
    assert said.splitlines()[-1] == "stopped before it was up"
    assert docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={idle.project}") == ""
    assert docker("ps", "--all", "--quiet", "--filter", f"label=slipway.carrier={idle.project}") == ""
    assert docker("network", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={idle.project}") == ""


def test_a_second_start_at_the_same_time_is_refused(idle: DockerStack) -> None:
    directory = idle.checkout / ".secrets"
    directory.mkdir(exist_ok=True)
    with (directory / f"{idle.project}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        line = refused(idle.run("up", "prod", check=False))
    assert f"another start, stop, deploy or restore of {idle.project} is under way" in line
    assert things(idle) == ""


def test_a_verb_needs_not_be_told_again_what_the_stack_was_told(docker_prod: DockerStack) -> None:
    command = "from django.conf import settings; print(settings.SITE_URL, settings.RELEASE)"
    told = ("RELEASE", "HTTP_PORT", "HTTPS_PORT")
    environment = {name: value for name, value in docker_prod.environment.items() if name not in told}
    done = subprocess.run(
        ["bin/containers", "manage", "shell", "--no-imports", "-c", command],
        cwd=docker_prod.checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [docker_prod.url, RELEASE], done.stderr


def ids(stack: DockerStack) -> list[str]:
    return [stack.container(service) for service in SERVICES]


def test_a_second_start_touches_no_container(docker_prod: DockerStack) -> None:
    before = ids(docker_prod)
    output = docker_prod.run("up", "prod").stdout
    assert ids(docker_prod) == before
    assert f"{docker_prod.url}   ready in" in output
    assert f"password in .secrets/{docker_prod.project}/admin_password" in output
    assert docker_prod.secret("admin_password").read_text() not in output


def test_a_release_that_fails_leaves_the_old_one_serving(docker_prod: DockerStack) -> None:
    before = ids(docker_prod)
    docker_prod.psql("INSERT INTO django_migrations (app, name, applied) VALUES ('blog', '9999_of_the_future', now())")
    try:
        done = docker_prod.run("up", "prod", check=False)
    finally:
        docker_prod.psql("DELETE FROM django_migrations WHERE name = '9999_of_the_future'")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: CommandError: the database is newer than this code (it has blog.9999_of_the_future)")
    assert ids(docker_prod) == before
    assert docker_prod.http.get("/").status == 200


def test_a_container_of_another_image_takes_the_socket_by_a_higher_generation(docker_prod: DockerStack) -> None:
    def generation() -> int:
        return int(docker_prod.execute("web", "printenv", "GENERATION"))

    before = generation()
    file = docker_prod.checkout / "services/web/config/urls.py"
    good = file.read_text()
    file.write_text(good + "\n# another release\n")
    try:
        docker_prod.start()
        assert generation() > before
        assert docker_prod.http.get("/").status == 200
    finally:
        file.write_text(good)
        docker_prod.start()


def test_ps_without_a_python_shows_what_docker_knows(docker_prod: DockerStack) -> None:
    output = docker_prod.run("ps", PYTHON="false").stdout
    assert output.startswith(f"{docker_prod.project}   prod, docker engine\n")
    assert output.count("(healthy)") == len(LOGGED)
    assert f":{docker_prod.port}->8443/tcp" in output
    assert '"service":"proxy"' in docker_prod.run("logs", PYTHON="false").stdout


def test_a_port_that_is_ours_is_not_taken(docker_prod: DockerStack) -> None:
    """... and moving to another one is one more start."""
    port, before = str(docker_prod.http_port), docker_prod.container("proxy")
    other = str(free_port())
    try:
        docker_prod.run("up", "prod", HTTP_PORT=other)
        assert docker_prod.container("proxy") != before
    finally:
        docker_prod.run("up", "prod", HTTP_PORT=port)


def test_development_never_runs_on_the_data_of_production(idle: DockerStack) -> None:
    noted = idle.secret("mode")
    noted.parent.mkdir(parents=True, exist_ok=True)
    noted.write_text("prod\n")
    try:
        line = refused(idle.run("up", "dev", check=False))
        assert f"the project {idle.project} is a prod stack with its own data" in line
        assert things(idle) == ""
    finally:
        noted.unlink()
