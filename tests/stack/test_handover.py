"""The socket hand-over with real uWSGI processes and a small application: who has the published name."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.local import ROOT, wait_for

APPLICATION = """
import os
def application(environment, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ["GENERATION"].encode()]
"""


class Instance:
    """One uWSGI started by serve.py, as a container of one generation would."""

    def __init__(self, project: Path, sockets: Path, generation: int, name: str) -> None:
        self.environment = {
            **os.environ,
            "SOCKET_DIR": str(sockets),
            "GENERATION": str(generation),
            "INSTANCE": name,
            "STATS_PATH": str(sockets.parent / f"{name}.stats"),
            "WEB_PROCESSES": "1",
            "PYTHONPATH": str(project),
        }
        self.project = project
        self.socket = f"{generation}-{name}.sock"
        self.sockets = sockets
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.launch()
        wait_for(self.healthy, 20, f"{self.socket} answers")

    def start_unhealthy(self) -> None:
        """Start one whose answers are errors."""
        self.launch()
        wait_for(lambda: "answered 500" in self.run("health").stdout, 20, f"{self.socket} answers")

    def launch(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "serve.py"],
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "serve.py", *arguments],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def healthy(self) -> bool:
        return self.run("health").returncode == 0

    def kill(self, what: signal.Signals = signal.SIGKILL) -> None:
        assert self.process
        if what == signal.SIGKILL:
            os.killpg(self.process.pid, what)
        else:
            self.process.send_signal(what)
        self.process.wait(20)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("serve.py", "uwsgi.ini"):
        shutil.copy(ROOT / "services/web" / name, tmp_path)
    config = tmp_path / "config"
    config.mkdir()
    (config / "__init__.py").touch()
    (config / "settings.py").touch()
    (config / "wsgi.py").write_text(APPLICATION)
    return tmp_path


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    directory = tmp_path / "s"
    directory.mkdir()
    return directory


@pytest.fixture
def instances(project: Path, sockets: Path) -> Iterator[list[Instance]]:
    made = [Instance(project, sockets, 1, "old"), Instance(project, sockets, 2, "new")]
    yield made
    for instance in made:
        if instance.process and instance.process.poll() is None:
            instance.kill()


def published(sockets: Path) -> str:
    return str((sockets / "web.sock").readlink())


def test_a_newer_release_takes_the_name_while_the_old_one_keeps_its_socket(
    instances: list[Instance], sockets: Path
) -> None:
    old, new = instances
    old.start()
    wait_for((sockets / "web.sock").is_symlink)
    assert published(sockets) == old.socket
    new.start()
    wait_for(lambda: published(sockets) == new.socket)
    assert old.healthy()


def test_a_respawned_worker_of_the_old_release_never_takes_the_name_back(
    instances: list[Instance], sockets: Path
) -> None:
    old, new = instances
    old.start()
    new.start()
    wait_for(lambda: published(sockets) == new.socket)
    assert old.process
    children = Path(f"/proc/{old.process.pid}/task/{old.process.pid}/children")
    before = children.read_text()
    os.kill(int(before.split()[0]), signal.SIGKILL)
    # It is the only worker: it answers once it is through with what it does at its start.
    wait_for(lambda: children.read_text() not in ("", before) and old.healthy(), 20, "a new worker")
    assert published(sockets) == new.socket


def test_a_restarted_container_of_the_old_release_leaves_the_name_to_the_new_one(
    instances: list[Instance], sockets: Path
) -> None:
    old, new = instances
    old.start()
    new.start()
    wait_for(lambda: published(sockets) == new.socket)
    old.kill()
    old.start()
    assert published(sockets) == new.socket


def test_the_old_release_takes_the_name_when_the_new_one_is_dead(instances: list[Instance], sockets: Path) -> None:
    old, new = instances
    new.start()
    wait_for(lambda: published(sockets) == new.socket)
    new.kill()
    old.start()
    wait_for(lambda: published(sockets) == old.socket)


def test_a_generation_that_is_held_waits_until_it_is_given_the_name(instances: list[Instance], sockets: Path) -> None:
    old, new = instances
    old.start()
    wait_for((sockets / "web.sock").is_symlink)
    assert old.run("hold", "2").returncode == 0
    new.start()
    assert new.run("publish").stdout == "serve: web.sock stays with another release\n"
    assert published(sockets) == old.socket
    assert new.run("take", new.socket).returncode == 0
    assert published(sockets) == new.socket == new.run("current").stdout.strip()
    # From now on a restart takes it by itself.
    assert new.run("publish").stdout == f"serve: web.sock -> {new.socket}\n"


def test_the_name_handed_back_stays_with_the_old_release(instances: list[Instance], sockets: Path) -> None:
    old, new = instances
    old.start()
    new.start()
    wait_for(lambda: published(sockets) == new.socket)
    assert old.run("take", old.socket, "2").returncode == 0
    assert new.run("publish").stdout == "serve: web.sock stays with another release\n"
    assert published(sockets) == old.socket
    assert old.run("release").returncode == 0
    assert list(sockets.glob("*.held")) == []


def test_the_name_is_never_given_to_a_socket_nobody_listens_on(instances: list[Instance], sockets: Path) -> None:
    old, new = instances
    old.start()
    wait_for((sockets / "web.sock").is_symlink)
    for target in (new.socket, "web.sock", "../etc/passwd"):
        done = old.run("take", target)
        assert done.returncode == 1
        assert "the traffic stays where it is" in done.stderr
    assert published(sockets) == old.socket


def test_every_worker_is_warmed_and_an_error_is_said(instances: list[Instance]) -> None:
    new = instances[1]
    new.start()
    assert new.run("warm", "/", "/feed").returncode == 0
    (new.project / "config/wsgi.py").write_text(APPLICATION.replace("200 OK", "500 No"))
    new.kill()
    new.start_unhealthy()
    done = new.run("warm", "/")
    assert (done.returncode, done.stdout) == (1, "/ answered 500\n")


def test_draining_waits_for_the_request_in_hand(instances: list[Instance], sockets: Path) -> None:
    old = instances[0]
    (old.project / "config/wsgi.py").write_text(
        APPLICATION.replace("def application(", "import time\ndef application(").replace(
            "    start_response", '    time.sleep(2 if environment["PATH_INFO"] == "/slow" else 0)\n    start_response'
        )
    )
    old.start()
    with subprocess.Popen(
        [sys.executable, "serve.py", "warm", "/slow"], cwd=old.project, env=old.environment, stdout=subprocess.DEVNULL
    ) as slow:
        wait_for(lambda: old.run("drain", "0").returncode == 1, 10, "a request in hand")
        assert old.run("drain", "0.2").stdout == "1 workers still have a request in hand after 0.2 s\n"
        assert old.run("drain", "20").returncode == 0
        assert slow.wait(10) == 0


def test_dead_sockets_are_swept_at_a_start_and_the_published_name_stays(
    instances: list[Instance], sockets: Path
) -> None:
    old, new = instances
    old.start()
    wait_for((sockets / "web.sock").is_symlink)
    old.kill()
    os.utime(sockets / old.socket, (0, 0))
    assert (sockets / "web.sock").is_symlink()
    new.start()
    assert not (sockets / old.socket).exists()
    assert (sockets / "web.sock").is_symlink()


def test_the_socket_of_a_living_neighbour_is_not_swept(instances: list[Instance], sockets: Path) -> None:
    old, new = instances
    old.start()
    os.utime(sockets / old.socket, (0, 0))
    new.start()
    assert (sockets / old.socket).exists()
    assert old.healthy()


def test_the_socket_is_for_its_owner_and_the_group_alone(instances: list[Instance], sockets: Path) -> None:
    instances[0].start()
    assert oct((sockets / instances[0].socket).stat().st_mode)[-3:] == "660"


def test_sigterm_lets_the_instance_finish_and_end_with_0(instances: list[Instance]) -> None:
    old = instances[0]
    old.start()
    old.kill(signal.SIGTERM)
    assert old.process
    assert old.process.returncode == 0


def test_health_fails_when_nobody_listens(instances: list[Instance], sockets: Path) -> None:
    done = instances[0].run("health")
    assert done.returncode == 1
    assert "1-old.sock" in done.stdout


def test_health_fails_when_the_listener_never_answers(instances: list[Instance], sockets: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(sockets / instances[0].socket))
        silent.listen()
        done = instances[0].run("health")
    assert done.returncode == 1
    assert "timed out" in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("SOCKET_DIR", "", "SOCKET_DIR"),
        ("SOCKET_DIR", "/nowhere", "SOCKET_DIR"),
        ("GENERATION", "next", "GENERATION"),
        ("WEB_PROCESSES", "many", "WEB_PROCESSES"),
        ("WEB_PROCESSES", "0", "WEB_PROCESSES"),
        ("LISTEN_QUEUE", "long", "LISTEN_QUEUE"),
    ],
)
def test_a_malformed_variable_stops_the_start_with_one_line(
    instances: list[Instance], name: str, value: str, word: str
) -> None:
    instances[0].environment[name] = value
    done = instances[0].run()
    assert done.returncode == 1
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1
