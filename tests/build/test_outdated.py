"""bin/outdated.py against a package index of its own: which versions count, and what is said when nobody answers."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.local import ROOT

FILES: dict[str, list[dict[str, object]]] = {
    "tiny": [
        {"filename": "tiny-1.0-py3-none-any.whl"},
        {"filename": "tiny-1.5.tar.gz"},
        {"filename": "tiny-1.6-py3-none-any.whl", "yanked": "broken"},
        {"filename": "tiny-1.7rc1-py3-none-any.whl"},
        {"filename": "tiny-1.8-py3-none-any.whl", "requires-python": ">=3.99"},
        {"filename": "tiny-1.9.exe"},
        {"filename": "tiny-2.0-py3-none-any.whl", "requires-python": ">=3.8", "yanked": False},
        {"filename": "tiny-2.1-py3-none-any.whl", "requires-python": "nonsense"},
    ],
    "newest-already": [
        {"filename": "newest_already-4.0rc1-py3-none-any.whl"},
        {"filename": "newest_already-3.0-py3-none-any.whl"},
    ],
    "indirect": [{"filename": "indirect-1.10-py3-none-any.whl"}, {"filename": "indirect-1.9-py3-none-any.whl"}],
}


class Index(http.server.BaseHTTPRequestHandler):
    """A package index; one that knows no JSON at /html/, one that wants a password at /locked/."""

    def do_GET(self) -> None:  # (the name is http.server's)
        kind, name = self.path.strip("/").split("/")
        wanted = kind != "locked" or self.headers.get("Authorization") == "Basic bWU6cDpA"
        status = 401 if not wanted else 200 if name in FILES else 404
        body = json.dumps({"files": FILES.get(name, [])}) if kind != "html" else "<!DOCTYPE html>"
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if kind == "html" else str(self.headers["Accept"]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is http.server's)
        pass


@pytest.fixture
def index() -> Iterator[str]:
    """The host and port of a package index."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with four locked packages, two of them asked for."""
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "app.in").write_text("Tiny<2  # for a test\nnewest-already\n")
    (requirements / "all.in").write_text("-r app.in\n")
    pins = ("tiny==1.0", "indirect==1.9", "newest-already==3.0", "unknown==1 ; sys_platform != 'x'")
    text = "# Made by nobody from app.in with Python 3.11: do not edit.\n" + "".join(
        f"{pin} \\\n    --hash=sha256:{'0' * 64}\n" for pin in pins
    )
    for name in ("app", "all", "lock"):
        (requirements / f"{name}.txt").write_text(text)
    return tmp_path


def outdated(project: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a project against an index."""
    return subprocess.run(
        [sys.executable, str(ROOT / "bin/outdated.py")],
        cwd=project,
        env=os.environ | {"PIP_INDEX_URL": url},
        capture_output=True,
        text=True,
    )


def test_what_is_newer_and_may_be_installed_is_a_table(project: Path, index: str) -> None:
    done = outdated(project, f"http://{index}/simple")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()[:-1]] == [
        ["Python", "package", "locked", "allowed", "newest"],
        ["indirect", "1.9", "1.10", "1.10"],
        ["tiny", "1.0", "1.5", "2.0"],
    ]


def test_nothing_newer_is_one_line(project: Path, index: str) -> None:
    for file in (project / "requirements").glob("*.txt"):
        text = file.read_text().replace("tiny==1.0", "tiny==2.0").replace("indirect==1.9", "indirect==1.10")
        file.write_text(text)
    done = outdated(project, f"http://{index}/simple/")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Python packages: the locked versions are the newest\n"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "http://127.0.0.1:9/simple",
            "the package index cannot be reached ([Errno 111] Connection refused): check the",
        ),
        ("http://{index}/html", "does not answer in JSON: set PIP_INDEX_URL to an index that does"),
        ("http://me:wrong@{index}/locked", "/locked/ answers 401 Unauthorized: check PIP_INDEX_URL"),
    ],
)
def test_an_index_that_does_not_answer_is_one_line(project: Path, index: str, url: str, said: str) -> None:
    done = outdated(project, url.format(index=index))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr
    assert "wrong" not in done.stderr


def test_the_password_in_the_address_of_the_index_is_sent(project: Path, index: str) -> None:
    done = outdated(project, f"http://me:p%3A%40@{index}/locked")
    assert done.returncode == 0, done.stderr
    assert "tiny" in done.stdout
