"""Connections that end in the middle: of an upload, of an answer; and bodies that nobody reads."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.stack import uwsgi
from tests.stack.containers import DockerStack
from tests.stack.http import unverified
from tests.stack.load import logged_in
from tests.stack.local import LocalStack, wait_for
from tests.stack.test_http import first_article
from tests.stack.test_stopping import slow_articles

pytestmark = pytest.mark.chaos

ANSWERS = 20
# Longer than what noise of some megabytes holds by chance.
BOUNDARY = "between-the-parts-of-the-form"
# What would say that somebody's leaving was an error.
COMPLAINTS = ("Traceback", '"level": "ERROR"', '"level":"ERROR"', "OSError", "write error", "SIGPIPE", "Broken pipe")


@contextmanager
def connection(stack: LocalStack) -> Iterator[socket.socket]:
    """A connection to the site that ends with a reset."""
    plain = socket.create_connection(("localhost", stack.port), 20)
    # A reset, as of a network that has gone.
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if not stack.url.startswith("https:"):
        with plain:
            yield plain
        return
    with unverified().wrap_socket(plain, server_hostname="localhost") as secured:
        yield secured


def head(stack: LocalStack, method: str, path: str, *more: str) -> bytes:
    """The first part of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: localhost:{stack.port}", *more, "", ""]).encode()


def uploads(stack: LocalStack) -> set[str]:
    """The pictures of users as they sent them, and what a request has put aside meanwhile in nginx and in Django."""
    if isinstance(stack, DockerStack):
        places = [("web", "/srv/media"), ("web", "/tmp"), ("proxy", "/tmp/nginx/temp")]
        found = {
            f"{service} {name}"
            for service, place in places
            for name in stack.execute(service, "find", place, "-type", "f").split()
        }
    else:
        nginx = stack.published_socket().parent.parent / "nginx" / "temp"
        roots = [stack.checkout / ".local/media", nginx]
        found = {str(path) for root in roots for path in root.rglob("*") if path.is_file()}
        found |= {str(path) for path in Path(tempfile.gettempdir()).glob("*.upload*")}
    # The smaller sizes are the worker's, which may still make those of the sample content.
    return {name for name in found if not re.search(r"-\d+\.(avif|webp|jpg)$", name)}


def picture() -> bytes:
    """A photograph of some megabytes: noise, which does not compress."""
    written = io.BytesIO()
    Image.frombytes("RGB", (1500, 1000), os.urandom(1500 * 1000 * 3)).save(written, "JPEG", quality=95)
    return written.getvalue()


@pytest.mark.parametrize("share", [0.6, 0.999])
def test_an_upload_that_is_cut_leaves_nothing(stack: LocalStack, share: float) -> None:
    cookies, token = logged_in(stack.http, "admin", stack.admin_password())
    rows = "SELECT count(*), coalesce(max(id), 0) FROM uploads_picture"
    before, stored = uploads(stack), stack.psql(rows)
    fields = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{token}\r\n--{BOUNDARY}\r\n'
        'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    body = fields.encode() + picture() + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = (
        f"Cookie: {cookies}",
        f"Origin: {stack.url}",
        f"Referer: {stack.url}/write/new/",
        f"Content-Length: {len(body)}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
    )
    with connection(stack) as client:
        client.sendall(head(stack, "POST", "/write/pictures/", *headers) + body[: int(share * len(body))])
        time.sleep(0.3)
    wait_for(lambda: uploads(stack) <= before, 10, "what was sent of the upload is gone")
    uwsgi.wait_until_idle(stack)
    assert stack.psql(rows) == stored
    # The same one, whole, is taken: it was the cut that was refused.
    if share > 0.9:
        named = dict(line.split(": ", 1) for line in (*headers, "Accept: application/json"))
        answer = stack.http.request("POST", "/write/pictures/", body, named)
        assert answer.status == 201, answer.text[:300]
        assert stack.psql(rows) != stored


def test_a_client_that_leaves_in_the_middle_of_an_answer_is_no_error(stack: LocalStack) -> None:
    before = uwsgi.processes(stack)
    before_log = stack.logs()
    path = first_article(stack)
    # While the site thinks …
    with slow_articles(stack, 1.5) as somebody_waits, connection(stack) as client:
        client.sendall(head(stack, "GET", "/"))
        assert somebody_waits().strip() == "waiting"
        # … and while it answers.
    for _ in range(ANSWERS):
        with connection(stack) as client:
            client.sendall(head(stack, "GET", path))
            assert client.recv(1)
    uwsgi.wait_until_idle(stack)
    assert uwsgi.processes(stack) == before
    assert stack.http.get(path).status == 200
    wait_for(
        lambda: any('"status":499' in line for line in stack.logged_since(before_log)),
        10,
        "nginx notes that a client left",
    )
    said = stack.logged_since(before_log)
    assert [line for line in said if any(word in line for word in COMPLAINTS)] == []


@pytest.mark.parametrize("size", [300_000, 900_000])
def test_a_body_that_no_view_reads_has_a_clear_answer_each_time(stack: LocalStack, size: int) -> None:
    path = first_article(stack)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"x=" + b"a" * size
    statuses = [stack.http.request("POST", path, body, headers).status for _ in range(ANSWERS)]
    unclear = sum(status >= 500 for status in statuses)
    print(f"requests: {len(statuses)} with {size} bytes that nobody reads, {unclear} without a clear answer")
    assert set(statuses) <= {403, 405}


def test_a_body_that_no_view_reads_has_a_clear_answer_over_http_2_too(docker_prod: DockerStack, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if not curl or "HTTP2" not in subprocess.run([curl, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("curl with HTTP/2 is not installed")
    body = tmp_path / "body"
    body.write_bytes(b"x=" + b"a" * 300_000)
    address = docker_prod.url + first_article(docker_prod)
    told = "%{http_version} %{http_code}\\n"
    # One connection for all of them, as a browser has.
    options = ["--next", "-sk", "--http2", "-o", os.devnull, "-w", told, "--data-binary", f"@{body}"]
    requests = [*options, address] * ANSWERS
    done = subprocess.run([curl, *requests[1:]], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) <= {"2 403", "2 405"}
    assert len(done.stdout.splitlines()) == ANSWERS
