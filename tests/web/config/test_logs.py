"""Log lines and the request's id in them and in the SQL."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config.logs import JsonFormatter, TextFormatter
from tests.web.builders import a_user

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


@pytest.mark.django_db
def test_every_statement_ends_with_the_id_as_a_comment(client: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        client.get("/", headers={"x-request-id": IDENTITY})
    statements = [query["sql"] for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert statements
    assert all(sql.endswith(f"/* request_id={IDENTITY} */") for sql in statements)


@pytest.mark.django_db
def test_a_statement_outside_a_request_has_no_comment(client: Client) -> None:
    client.get("/nobody/")
    with CaptureQueriesContext(connection) as queries, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert "request_id" not in queries[0]["sql"]


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
