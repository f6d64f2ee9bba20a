"""Log lines and the request's id in them and in the SQL."""

from __future__ import annotations

import contextlib
import json
import logging
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from config import statements
from config.logs import JsonFormatter, TextFormatter
from config.request_id import request_id
from config.secret_paths import SECRET_PATHS
from tests.web.builders import a_user
from tests.web.routes import PART, own_routes

ROOT = Path(__file__).resolve().parents[3]

SECRET = "hunter2-secret"
IDENTITY = "0123456789abcdef0123456789abcdef"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.mark.django_db
def test_a_log_line_carries_the_id_that_nginx_sent(client: Client, log_lines: Lines) -> None:
    client.get("/nobody/", headers={"x-request-id": IDENTITY})
    assert [(line["request_id"], line["status"]) for line in log_lines()] == [(IDENTITY, 404)]


@pytest.mark.django_db
@pytest.mark.parametrize("sent", ["", "short", "x" * 32, f"{IDENTITY} */ DROP TABLE x; /*"])
def test_an_id_of_another_form_is_replaced(client: Client, log_lines: Lines, sent: str) -> None:
    client.get("/nobody/", headers={"x-request-id": sent})
    (line,) = log_lines()
    assert line["request_id"] != sent
    assert len(line["request_id"]) == 32


def test_the_page_of_an_error_names_the_request(client: Client) -> None:
    """In both languages: it is one page for all readers."""
    page = client.get("/", headers={"x-request-id": IDENTITY}).content.decode()
    assert f"<code>{IDENTITY}</code>" in page
    assert "请求编号" in page


def session_name() -> str:
    """What PostgreSQL would write in front of a line about this statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('application_name')")
        return str(cursor.fetchone()[0])


def fail_statement() -> None:
    """A statement that PostgreSQL refuses."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1/0")


@pytest.mark.django_db
def test_the_session_of_the_database_is_named_by_the_request(client: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        client.get("/", headers={"x-request-id": IDENTITY})
    named = [query["sql"] for query in queries if f"set_config('application_name', '{IDENTITY}'" in query["sql"]]
    assert len(named) == 1
    assert session_name() == "slipway test"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(20))
def test_every_statement_sees_the_name_of_its_own_request(seed: int) -> None:
    """Whatever was rolled back before it, and however."""
    chance = random.Random(seed)

    def work(depth: int) -> None:
        for _ in range(chance.randrange(1, 5)):
            match chance.randrange(7):
                case 0:
                    request_id.set("" if chance.random() < 0.2 else f"{chance.getrandbits(128):032x}")
                case 1 if connection.in_atomic_block:
                    with contextlib.suppress(DatabaseError), transaction.atomic():
                        fail_statement()
                case 1:
                    with contextlib.suppress(DatabaseError):
                        fail_statement()
                case 2 | 3 if depth < 4:
                    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
                        work(depth + 1)
                        if chance.random() < 0.6:
                            raise ZeroDivisionError
                case 4 if connection.in_atomic_block:
                    assert list(User.objects.iterator()) == []
                case _:
                    assert session_name() == (request_id.get() or "slipway test")

    try:
        for _ in range(12):
            work(0)
    finally:
        request_id.set("")
    assert session_name() == "slipway test"


@pytest.mark.django_db(transaction=True)
def test_a_cursor_of_the_server_and_several_rows_at_once_are_named_too() -> None:
    request_id.set(IDENTITY)
    try:
        assert list(User.objects.iterator()) == []
        assert connection.connection.info.parameter_status("application_name") == IDENTITY
        request_id.set("f" * 32)
        with connection.cursor() as cursor:
            cursor.executemany("SELECT %s", [[1], [2]])
        assert connection.connection.info.parameter_status("application_name") == "f" * 32
    finally:
        request_id.set("")


@pytest.mark.django_db
def test_a_slow_statement_is_logged_without_its_values(log_lines: Lines) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s), %s", [statements.SLOW_SECONDS, "hunter2-secret"])
    (line,) = log_lines()
    assert line["level"] == "WARNING"
    assert re.fullmatch(r"slow statement, [5-9]\d\d ms: SELECT pg_sleep\(%s\), %s", line["message"])


@pytest.mark.django_db
def test_a_failed_statement_is_logged_without_its_values(log_lines: Lines) -> None:
    User.objects.create_user(SECRET)
    with contextlib.suppress(IntegrityError), transaction.atomic():
        User.objects.create_user(SECRET)
    with contextlib.suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM blog_article WHERE title = %s", ["hunter2-secret"])
    lines = log_lines()
    assert [line["message"][:24] for line in lines] == ["statement failed (23505)", "statement failed (42703)"]
    assert "hunter2-secret" not in json.dumps(lines)


@pytest.mark.django_db
@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_traceback_holds_nothing_of_the_row_that_was_refused(formatter: logging.Formatter) -> None:
    User.objects.create_user(SECRET)
    try:
        with transaction.atomic():
            User.objects.create_user(SECRET)
    except IntegrityError:
        text = formatter.format(logging.LogRecord("a.logger", logging.ERROR, "f.py", 1, "x", None, sys.exc_info()))
    assert "duplicate key value violates unique constraint" in text
    assert "direct cause" in text
    assert "django.db.utils.IntegrityError: " in text
    assert "hunter2" not in text


@pytest.mark.django_db
def test_a_password_never_reaches_the_log(client: Client, log_lines: Lines) -> None:
    a_user("root-like", is_staff=True)
    logging.getLogger().setLevel(logging.DEBUG)
    client.post("/admin/login/", {"username": "root-like", "password": "hunter2-secret"}, headers={"cookie": "a=crumb"})
    client.post("/nobody/", {"password": "hunter2-secret"})
    written = json.dumps(log_lines())
    assert "hunter2-secret" not in written
    assert "crumb" not in written


def test_an_error_in_a_view_is_logged_with_its_traceback_and_id(client: Client, log_lines: Lines) -> None:
    # Without the database mark, pytest-django makes the first query fail.
    client.get("/", headers={"x-request-id": IDENTITY})
    (line,) = [line for line in log_lines() if line["level"] == "ERROR"]
    assert "Traceback" in line["exception"]
    assert line["request_id"] == IDENTITY


@pytest.mark.django_db
@pytest.mark.parametrize("prefix", SECRET_PATHS)
def test_an_address_that_is_a_secret_is_masked(client: Client, log_lines: Lines, prefix: str) -> None:
    logging.getLogger("django.request").warning("Not Found: %s", f"{prefix}MQ:1w-hunter2_secret/")
    try:
        raise ValueError(f"https://example.org{prefix}hunter2?x=1 is no address")
    except ValueError:
        logging.getLogger("a.logger").exception("broken")
    lines = log_lines()
    assert lines[0]["message"] == f"Not Found: {prefix}***/"
    assert lines[1]["exception"].endswith(f"ValueError: https://example.org{prefix}***?x=1 is no address")


@pytest.mark.django_db
@pytest.mark.parametrize("prefix", SECRET_PATHS)
def test_browsers_do_not_pass_on_an_address_that_is_a_secret(client: Client, prefix: str) -> None:
    policy = client.get(f"{prefix}{'0' * 64}/").headers["Referrer-Policy"]
    assert policy in ("strict-origin", "no-referrer")


def test_nginx_and_the_application_agree_on_what_is_secret() -> None:
    site = (ROOT / "services/proxy/site.conf").read_text()
    block = r"location (\S+) \{\n    include uwsgi.conf;\n    set \$path (\S+)\*\*\*;\n    error_log stderr alert;\n\}"
    assert re.findall(block, site) == [(prefix, prefix) for prefix in SECRET_PATHS]


def test_every_address_with_a_token_is_among_them() -> None:
    """An address whose parameter is named for what it is."""
    named = re.compile(r"token|key|uid|secret|code|signature", re.IGNORECASE)
    secret = [path for path in own_routes() if named.search("".join(PART.findall(path)))]
    assert len(secret) == len(SECRET_PATHS)
    assert all(f"/{path}".startswith(SECRET_PATHS) for path in secret)


def record(message: str) -> logging.LogRecord:
    """A record at WARNING with an exception."""
    try:
        raise ValueError("broken")
    except ValueError:
        return logging.LogRecord("a.logger", logging.WARNING, "f.py", 1, message, None, sys.exc_info())


def test_a_json_line_is_one_line_whatever_the_message() -> None:
    line = JsonFormatter().format(record('two\nlines "quoted" 中文'))
    assert "\n" not in line
    assert json.loads(line)["message"] == 'two\nlines "quoted" 中文'


def test_a_text_line_shows_no_escape_sequence_of_the_message() -> None:
    assert "\x1b[2J" not in TextFormatter().format(record("\x1b[2Jgone"))
