"""What one address may do, and the pages that say so: rates, requests at once, sizes."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.stack import nginx_program
from tests.stack.containers import DockerStack
from tests.stack.http import Answer
from tests.stack.local import ROOT, LocalStack
from tests.stack.strangers import Result, job, visit, visiting
from tests.stack.test_http import stylesheet

# Rates: who is slowed down asks less often.
pytestmark = pytest.mark.alone


def statuses(results: list[Result]) -> Counter[int]:
    """How often each status came."""
    return Counter(status for status, _ in results)


def is_a_clear_page(answer: Answer, english: str, chinese: str) -> None:
    """Fail unless it is a page of nginx's in both languages, with its style, that nobody keeps."""
    assert english in answer.text
    assert chinese in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    # What htmx asked for is not replaced by it.
    assert answer.headers["HX-Reswap"] == "none"
    style = re.search("<style>(.*)</style>", answer.text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


def test_an_address_may_open_its_tabs_but_not_flood_the_pages(stack: LocalStack) -> None:
    """60 at once pass, 100 more wait for their turn, the rest is refused; files and other addresses go on."""
    jobs = job("requests", 260, "/healthz"), job("requests", 200, stylesheet(stack)) | {"after": 1.0}
    with visiting(stack, *jobs) as results:
        assert stack.http.get("/healthz").status == 200
    pages, files = results
    counted = statuses(pages)
    assert counted[200] >= 160
    assert counted[429] >= 260 - 160 - 60
    assert counted.total() == counted[200] + counted[429]
    waited = sorted(seconds or 0 for status, seconds in pages if status == 200)
    assert waited[55] < waited[-1] - 3
    assert 4 < waited[-1] < 15
    assert statuses(files) == {200: 200}


def test_what_is_refused_passes_again_after_a_while(stack: LocalStack) -> None:
    first = job("requests", 60, "/healthz", "POST")
    later = job("requests", 1, "/healthz", "POST") | {"after": 2}
    (refused, passed) = visit(stack, first, later)
    assert statuses(refused)[429] >= 5
    assert statuses(refused)[405] >= 50
    assert statuses(passed) == {405: 1}


def test_forms_about_accounts_have_a_tighter_limit(stack: LocalStack) -> None:
    (found,) = visit(stack, job("requests", 40, "/account/login/", "POST"))
    counted = statuses(found)
    assert 30 <= counted[403] <= 33
    assert counted[429] == 40 - counted[403]


def test_this_host_is_not_limited(stack: LocalStack) -> None:
    """Many may be behind its address: whoever Docker forwards without theirs, or a proxy on the host."""
    with ThreadPoolExecutor(25) as people:
        answers = list(people.map(lambda _: stack.http.get("/healthz").status, range(200)))
    assert set(answers) == {200}


@pytest.mark.parametrize("path", ["/i18n/setlang/", "/account/", "/write/"])
def test_what_is_too_large_has_a_clear_page(stack: LocalStack, path: str) -> None:
    headers = {"Content-Length": str(14_000_000), "Content-Type": "application/x-www-form-urlencoded"}
    answer = stack.http.request("POST", path, b"", headers)
    assert answer.status == 413
    is_a_clear_page(answer, "That is too large", "内容过大")


@pytest.mark.parametrize(
    ("path", "size", "refused"),
    [
        ("/i18n/setlang/", 1_000_000, False),
        ("/i18n/setlang/", 1_100_000, True),
        ("/account/", 3_000_000, False),
        ("/account/", 3_200_000, True),
    ],
)
def test_each_place_takes_what_its_forms_need(stack: LocalStack, path: str, size: int, refused: bool) -> None:
    body = b"x=" + b"a" * size
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (stack.http.request("POST", path, body, headers).status == 413) is refused


def test_headers_that_are_too_large_have_a_clear_page(stack: LocalStack) -> None:
    answer = stack.http.get("/", Cookie="big=" + "c" * 20_000)
    assert answer.status == 400
    is_a_clear_page(answer, "That could not be read", "请求无法读取")


def test_a_full_disk_of_the_proxy_is_a_503_until_there_is_room(docker_prod: DockerStack) -> None:
    """The part of a body that is put aside finds no room."""
    body = b"x=" + b"a" * 900_000
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    docker_prod.execute("proxy", "sh", "-c", "cat /dev/zero >/tmp/full || true", check=False)
    try:
        answer = docker_prod.http.request("POST", "/i18n/setlang/", body, headers)
        small = docker_prod.http.get("/")
    finally:
        docker_prod.execute("proxy", "rm", "/tmp/full")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    is_a_clear_page(answer, "Back in a moment", "马上回来")
    assert small.status == 200
    assert docker_prod.http.request("POST", "/i18n/setlang/", body, headers).status < 500


def rendered(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What services/proxy/start says to these variables, without starting nginx."""
    environment = {
        "PATH": os.environ["PATH"],
        "NGINX_PROGRAM": nginx_program(),
        "NGINX_USER": "root" if os.getuid() == 0 else "",
        "RUN": str(directory / "run"),
        "ALLOWED_HOSTS": "localhost",
        "SOCKET": str(directory / "web.sock"),
        "STATIC_ROOT": str(directory),
        "MEDIA_ROOT": str(directory),
        **variables,
    }
    start = [str(ROOT / "services/proxy/start"), "render"]
    return subprocess.run(start, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMIT_PAGES", "many"),
        ("LIMIT_PAGES", "-1"),
        ("LIMIT_FORMS", "10001"),
        ("LIMIT_LOGINS", "1.5"),
        ("LIMIT_REQUESTS", "99999999999999999999"),
        ("LIMIT_FILES", "5 6"),
        ("UNLIMITED", "my-proxy"),
        ("UNLIMITED", "10.0.0.1;"),
    ],
)
def test_a_limit_that_is_none_is_refused_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    done = rendered(tmp_path, **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"proxy: {name}={value}: ")
    assert done.stderr.count("\n") == 1


def test_the_limits_can_be_lifted_and_networks_left_out(tmp_path: Path) -> None:
    names = ("LIMIT_PAGES", "LIMIT_FORMS", "LIMIT_LOGINS", "LIMIT_REQUESTS", "LIMIT_FILES")
    done = rendered(tmp_path, **dict.fromkeys(names, "0"), UNLIMITED="192.0.2.7,10.0.0.0/8,2001:db8::/32")
    assert done.returncode == 0, done.stderr
    unlimited = (tmp_path / "run/conf/engine/unlimited.conf").read_text().splitlines()
    assert unlimited == ["192.0.2.7 0;", "10.0.0.0/8 0;", "2001:db8::/32 0;"]


def test_the_pages_of_errors_look_the_same(tmp_path: Path) -> None:
    done = rendered(tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {page.name: page.read_text() for page in (tmp_path / "run/conf/errors").glob("*.html")}
    named = re.findall(r"/\.errors/(\w+\.html);", (ROOT / "services/proxy/errors.conf").read_text())
    assert set(pages) == set(named)
    assert len({re.search("<style>(.*)</style>", page, re.DOTALL)[1] for page in pages.values()}) == 1  # type: ignore[index]
    assert len({re.search("<title>(.*)</title>", page)[1] for page in pages.values()}) == len(pages)  # type: ignore[index]
    for page in pages.values():
        assert 'lang="zh-Hans"' in page
        assert "${" not in page
