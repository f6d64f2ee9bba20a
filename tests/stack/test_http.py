"""What a browser meets through nginx, on both engines with production settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest

from local.stack import nginx_program
from tests.stack.local import ROOT, LocalStack, free_port, wait_for


def first_article(stack: LocalStack) -> str:
    """The path of an article linked from the front page."""
    found = re.search(r'href="(/[^/"]+/\d+-[^"]+/)"', stack.http.get("/").text)
    assert found
    return found[1]


def stylesheet(stack: LocalStack) -> str:
    """The path of the site's stylesheet."""
    found = re.search(r'href="(/static/[^"]+\.css)"', stack.http.get("/").text)
    assert found
    return found[1]


def test_the_front_page_lists_articles(stack: LocalStack) -> None:
    answer = stack.http.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(re.findall(r"<article", answer.text)) >= 10


def test_an_article_answers_with_its_comments_and_headers(stack: LocalStack) -> None:
    answer = stack.http.get(first_article(stack))
    assert answer.status == 200
    assert "<h1" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_the_feed_is_atom(stack: LocalStack) -> None:
    answer = stack.http.get("/feed.atom")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/atom+xml")
    assert f"{stack.url}/" in answer.text


@pytest.mark.parametrize(("language", "lang"), [("en", "en"), ("zh-CN,zh;q=0.9", "zh-hans")])
def test_the_page_speaks_the_language_of_the_browser(stack: LocalStack, language: str, lang: str) -> None:
    answer = stack.http.get("/", Accept_Language=language)
    assert f'<html lang="{lang}"' in answer.text.replace("zh-Hans", "zh-hans")


def test_a_static_file_is_cached_for_a_year_and_has_the_right_type(stack: LocalStack) -> None:
    answer = stack.http.get(stylesheet(stack))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_static_file_that_is_not_there_is_not_found_by_nginx(stack: LocalStack) -> None:
    answer = stack.http.get("/static/no-such-file.css")
    assert answer.status == 404
    assert b"no such file" in answer.body


def test_an_uploaded_picture_is_served_as_a_picture_and_never_as_a_page(stack: LocalStack) -> None:
    found = re.search(r'src="(/media/[^"]+\.webp)"', stack.http.get("/").text)
    assert found
    answer = stack.http.get(found[1])
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def sizes_on_the_front_page(stack: LocalStack) -> list[str]:
    """The addresses that the first cover may be loaded from, once the worker has made its sizes."""
    found = re.findall(r'srcset="([^"]+)"', stack.http.get("/").text)
    return [part.split()[0] for srcset in found[:3] for part in srcset.split(", ")]


def test_each_size_that_the_worker_made_is_served_by_nginx_as_what_it_is(stack: LocalStack) -> None:
    wait_for(lambda: sizes_on_the_front_page(stack), timeout=120, what="the sizes of the first cover")
    types = set()
    for address in sizes_on_the_front_page(stack):
        answer = stack.http.get(address)
        assert answer.status == 200, address
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        types.add(answer.headers["Content-Type"])
    assert types == {"image/avif", "image/webp", "image/jpeg"}


@pytest.mark.parametrize(("megabytes", "statuses"), [(12, {403}), (14, {413})])
def test_a_picture_of_12_mb_gets_to_the_application(stack: LocalStack, megabytes: int, statuses: set[int]) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    body += bytes(megabytes * 1_000_000) + b"\r\n--x--\r\n"
    assert stack.http.request("POST", "/write/pictures/", body, headers).status in statuses


@pytest.mark.parametrize("path", ["/media/avatars", "/admin"])
def test_a_redirect_of_nginx_stays_at_the_address_that_the_browser_used(stack: LocalStack, path: str) -> None:
    answer = stack.http.get(path)
    assert (answer.status, answer.headers["Location"]) == (301, f"{path}/")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/media/avatars", 301), ("/media/avatars/", 403), ("/static/", 403), ("/static/no-such-file.css", 404)],
)
def test_only_the_file_itself_is_cached_for_a_year(stack: LocalStack, path: str, status: int) -> None:
    answer = stack.http.get(path)
    assert answer.status == status
    assert "Cache-Control" not in answer.headers


def test_a_big_post_that_nobody_reads_never_becomes_a_502(stack: LocalStack) -> None:
    path = first_article(stack)
    body = b"x=" + b"a" * 300_000
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    statuses = [stack.http.request("POST", path, body, headers).status for _ in range(20)]
    assert set(statuses) <= {403, 405}


def test_a_cookie_of_8_kb_is_no_error(stack: LocalStack) -> None:
    assert stack.http.get("/", Cookie="big=" + "c" * 8192).status == 200


@pytest.mark.parametrize(
    ("address", "headers", "statuses"),
    [
        (9_000, {"A": 9_000, "B": 9_000}, {404}),
        (15_000, {"A": 15_000, "B": 15_000, "C": 15_000}, {400, 414}),
        (9_000, {"A": 9_000, "B": 9_000, "C": 9_000}, {400, 414}),
        (1, {f"X{number}": 0 for number in range(5000)}, {400}),
    ],
)
def test_what_nginx_lets_through_is_not_too_much_for_the_application(
    stack: LocalStack, address: int, headers: dict[str, int], statuses: set[int]
) -> None:
    sent = {name: "h" * length for name, length in headers.items()}
    assert stack.http.request("GET", "/" + "a" * address, headers=sent).status in statuses


def test_head_answers_like_get_without_a_body(stack: LocalStack) -> None:
    answer = stack.http.request("HEAD", "/")
    assert answer.status == 200
    assert answer.body == b""
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_an_unknown_host_is_refused_before_the_application(stack: LocalStack) -> None:
    answer = stack.http.get("/", Host="evil.example")
    assert answer.status == 421
    assert "X-Request-ID" not in answer.headers


def test_health_and_readiness_answer(stack: LocalStack) -> None:
    assert json.loads(stack.http.get("/healthz").body)["status"] == "ok"
    assert stack.http.get("/readyz").status == 200


def test_a_page_that_is_not_there_says_so(stack: LocalStack) -> None:
    answer = stack.http.get("/nobody-of-that-name/")
    assert answer.status == 404
    assert "<html" in answer.text


def test_one_request_id_is_in_the_logs_of_all_three(stack: LocalStack) -> None:
    stack.psql("ALTER SYSTEM SET log_duration = on")
    stack.psql("SELECT pg_reload_conf()")
    try:
        answer = stack.http.get("/nobody-of-that-name/", X_Request_ID="f" * 32)
        request_id = answer.headers["X-Request-ID"]
        assert request_id != "f" * 32

        def lines() -> list[str]:
            return [line for line in stack.logs().splitlines() if request_id in line]

        def services() -> set[str]:
            found = set()
            for line in lines():
                if '"service":"proxy"' in line:
                    found.add("proxy")
                elif "LOG:" in line and "duration:" in line:
                    found.add("postgres")
                elif '"message"' in line:
                    found.add("web")
            return found

        wait_for(lambda: services() == {"proxy", "web", "postgres"}, 10, f"{request_id} in three logs")
    finally:
        stack.psql("ALTER SYSTEM RESET log_duration")
        stack.psql("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE intruder (id int)",
        "DROP TABLE blog_article",
        "TRUNCATE blog_vote",
        "ALTER TABLE blog_article ADD COLUMN intruder int",
        "COPY blog_article TO PROGRAM 'true'",
    ],
)
def test_the_role_of_the_site_cannot_change_the_schema(stack: LocalStack, statement: str) -> None:
    refused = "PERFORM set_config('slipway.refused', 'yes', false)"
    block = f"BEGIN SET LOCAL ROLE slipway_app; EXECUTE $sql${statement}$sql$; EXCEPTION WHEN insufficient_privilege"
    before = stack.psql("SELECT count(*) FROM blog_vote")
    answer = stack.psql(f"DO $do$ {block} THEN {refused}; END $do$; SELECT current_setting('slipway.refused', true)")
    assert answer == "yes"
    assert stack.psql("SELECT count(*) FROM blog_vote") == before


def test_the_admin_logs_in_with_the_generated_password(stack: LocalStack) -> None:
    form = stack.http.get("/account/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
    cookie = form.headers["Set-Cookie"]
    assert token
    assert ("; Secure" in cookie) == stack.url.startswith("https:")
    password = stack.admin_password()
    fields = {"csrfmiddlewaretoken": token[1], "login": "admin", "password": password, "next": "/admin/"}
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": cookie.split(";")[0],
        "Origin": stack.url,
        "Referer": f"{stack.url}/account/login/",
    }
    answer = stack.http.request("POST", "/account/login/", urlencode(fields).encode(), headers)
    assert (answer.status, answer.headers["Location"]) == (302, "/admin/")
    session = next(value for value in answer.headers.get_all("Set-Cookie") or [] if value.startswith("sessionid="))
    assert "HttpOnly" in session
    assert ("; Secure" in session) == stack.url.startswith("https:")
    assert password not in stack.logs()


def test_the_statistics_of_the_database_hold_no_secret(stack: LocalStack) -> None:
    stack.http.get("/")
    statements = stack.psql("SELECT query FROM pg_stat_statements")
    assert "blog_article" in statements
    for name in ("postgres_password", "owner_password", "app_password", "admin_password"):
        assert stack.secret(name).read_text().strip() not in statements


@pytest.mark.parametrize(
    ("hosts", "subject", "names"),
    [
        (
            "localhost,127.0.0.1,[::1]",
            "localhost",
            {"DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"},
        ),
        (".example.org,other.example", "example.org", {"DNS:*.example.org", "DNS:example.org", "DNS:other.example"}),
    ],
)
def test_the_certificate_of_a_first_start_is_for_every_name_of_the_site(
    tmp_path: Path, hosts: str, subject: str, names: set[str]
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "NGINX_PROGRAM": nginx_program(),
        "NGINX_USER": "root" if os.getuid() == 0 else "",
        "RUN": str(tmp_path / "run"),
        "LISTEN": f"127.0.0.1:{free_port()}",
        "LISTEN_TLS": f"127.0.0.1:{free_port()}",
        "ALLOWED_HOSTS": hosts,
        "SOCKET": str(tmp_path / "web.sock"),
        "STATIC_ROOT": str(tmp_path),
        "MEDIA_ROOT": str(tmp_path),
        "CERTIFICATES": str(tmp_path),
    }
    start = [str(ROOT / "services/proxy/start"), "render"]
    done = subprocess.run(start, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [
            "openssl",
            "x509",
            "-in",
            str(tmp_path / "current/fullchain.pem"),
            "-noout",
            "-subject",
            "-ext",
            "subjectAltName",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert shown[0].replace(" ", "") == f"subject=CN={subject}"
    assert set(shown[2].strip().split(", ")) == names
