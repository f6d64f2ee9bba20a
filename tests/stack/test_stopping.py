"""Stops, restarts and crashes: what is in hand is finished, what was stored is kept."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.stack.http import Answer
from tests.stack.local import LocalStack, wait_for

# Until a request waits for the table; at most 20 s.
SOMEBODY_WAITS = """
DO $$ BEGIN
  FOR attempt IN 1..400 LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE relation = 'blog_article'::regclass AND NOT granted);
    PERFORM pg_sleep(0.05);
  END LOOP;
END $$;
"""


@contextmanager
def slow_articles(stack: LocalStack, seconds: float) -> Iterator[Callable[[], str]]:
    """Every page that reads articles waits for their table, `seconds` from the first (below the lock time-out of 3 s).

    Gives a function that returns once a request waits.
    """
    command, environment = stack.psql_command()
    script = (
        "BEGIN; LOCK TABLE blog_article IN ACCESS EXCLUSIVE MODE; SELECT 'locked';"
        f"{SOMEBODY_WAITS} SELECT 'waiting'; SELECT pg_sleep({seconds}); COMMIT;\n"
    )
    with subprocess.Popen(
        command, cwd=stack.checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as psql:
        assert psql.stdin
        assert psql.stdout
        psql.stdin.write(script)
        psql.stdin.close()
        assert psql.stdout.readline().strip() == "locked"
        yield psql.stdout.readline
        psql.wait(20)


def test_a_graceful_stop_finishes_the_request_in_hand(stack: LocalStack) -> None:
    answers: list[Answer] = []
    with slow_articles(stack, 2) as somebody_waits:
        request = threading.Thread(target=lambda: answers.append(stack.http.get("/")))
        request.start()
        assert somebody_waits().strip() == "waiting"
        assert request.is_alive()
        started = time.monotonic()
        stack.stop()
        request.join(20)
    assert [answer.status for answer in answers] == [200]
    assert time.monotonic() - started < 30
    stack.start()


def test_a_restart_keeps_the_data(stack: LocalStack) -> None:
    before = stack.psql("SELECT count(*), md5(string_agg(body, '' ORDER BY id)) FROM blog_article")
    stack.stop()
    stack.start()
    assert stack.psql("SELECT count(*), md5(string_agg(body, '' ORDER BY id)) FROM blog_article") == before
    assert stack.http.get("/").status == 200


def test_a_start_after_kill_9_of_everything_finds_what_was_committed(stack: LocalStack) -> None:
    stack.psql("CREATE TABLE crash_probe AS SELECT generate_series(1, 1000) AS n")
    stack.kill_everything()
    stack.start()
    assert stack.psql("SELECT count(*) FROM crash_probe") == "1000"
    stack.psql("DROP TABLE crash_probe")
    assert stack.http.get("/").status == 200


def test_a_start_removes_passwords_that_an_earlier_release_left_in_the_statistics(stack: LocalStack) -> None:
    stack.psql("CREATE ROLE probe PASSWORD 'left-in-plain-text'")
    try:
        assert "left-in-plain-text" in stack.psql("SELECT query FROM pg_stat_statements")
        stack.stop()
        stack.start()
        assert "left-in-plain-text" not in stack.psql("SELECT query FROM pg_stat_statements")
        file = "pg_read_binary_file('pg_stat_tmp/pgss_query_texts.stat')"
        assert "left-in-plain-text" not in stack.psql(f"SELECT encode({file}, 'escape')")
    finally:
        stack.psql("DROP ROLE probe")


def test_a_killed_worker_of_uwsgi_is_replaced_and_the_published_name_stays(local_prod: LocalStack) -> None:
    published = local_prod.published_socket()
    link = published.lstat().st_ino
    before = local_prod.workers_of_uwsgi()
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: len(set(local_prod.workers_of_uwsgi()) - {before[0]}) == len(before), 20, "a new worker")
    # With the others asleep it is the new one that answers, after its hooks.
    for worker in before[1:]:
        os.kill(worker, signal.SIGSTOP)
    try:
        assert local_prod.http.get("/healthz").status == 200
        assert published.lstat().st_ino == link
    finally:
        for worker in before[1:]:
            os.kill(worker, signal.SIGCONT)


@contextmanager
def application_away(stack: LocalStack) -> Iterator[None]:
    """The application is not to be found: its socket has no published name, and nobody gives it one."""
    group = stack.processes()["web"]
    socket = stack.published_socket()
    target = socket.readlink()
    os.killpg(group, signal.SIGSTOP)
    try:
        socket.unlink()
        yield
    finally:
        if not socket.is_symlink():
            socket.symlink_to(target)
        os.killpg(group, signal.SIGCONT)
        wait_for(lambda: stack.http.get("/").status == 200, 20, "the site is back")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/i18n/setlang/"),
        ("PUT", "/"),
        ("DELETE", "/admin/"),
        ("GET", "/media/avatars/no-such-file.webp"),
    ],
)
def test_without_the_application_a_clear_page_says_so_in_both_languages(
    local_prod: LocalStack, method: str, path: str
) -> None:
    with application_away(local_prod):
        answer = local_prod.http.request(method, path, b"a=b" if method in {"POST", "PUT"} else None)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])
    assert "Back in a moment" in answer.text
    assert "马上回来" in answer.text
    style = re.search("<style>(.*)</style>", answer.text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
