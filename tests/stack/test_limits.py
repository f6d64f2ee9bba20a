"""What one address may do, and the pages that say so: rates, requests at once, sizes."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections import Counter

import pytest

from tests.stack.http import Answer
from tests.stack.local import LocalStack
from tests.stack.strangers import Result, job, visit
from tests.stack.test_http import stylesheet


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
    """60 at once pass, 100 more wait for their turn, the rest is refused."""
    (found,) = visit(stack, job("requests", 260, "/healthz"))
    counted = statuses(found)
    assert counted[200] >= 160
    assert counted[429] >= 260 - 160 - 60
    assert counted.total() == counted[200] + counted[429]
    waited = sorted(seconds or 0 for status, seconds in found if status == 200)
    assert waited[55] < 3
    assert 4 < waited[-1] < 10


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


def test_files_have_no_rate_and_one_address_does_not_count_against_another(stack: LocalStack) -> None:
    (pages, files) = visit(
        stack, job("requests", 300, "/healthz"), job("requests", 300, stylesheet(stack)) | {"after": 0.5}
    )
    assert statuses(pages)[429] > 0
    assert statuses(files) == {200: 300}
    assert stack.http.get("/healthz").status == 200


def test_this_host_is_not_limited(stack: LocalStack) -> None:
    """Many may be behind its address: whoever Docker forwards without theirs, or a proxy on the host."""
    started = time.monotonic()
    assert {stack.http.get("/healthz").status for _ in range(200)} == {200}
    assert time.monotonic() - started < 20


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
