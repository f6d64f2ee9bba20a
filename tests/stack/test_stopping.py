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
from collections.abc import Iterator
from contextlib import contextmanager

from tests.stack.http import Answer
from tests.stack.local import LocalStack, wait_for


@contextmanager
def slow_articles(stack: LocalStack, seconds: float) -> Iterator[None]:
    """Every page that reads articles waits: their table is locked for `seconds` (below the lock time-out of 3 s)."""
    command, environment = stack.psql_command()
    script = (
        "BEGIN; LOCK TABLE blog_article IN ACCESS EXCLUSIVE MODE; SELECT 'locked';"
        f" SELECT pg_sleep({seconds}); COMMIT;\n"
    )
    with subprocess.Popen(
        command, cwd=stack.checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as psql:
        assert psql.stdin
        assert psql.stdout
        psql.stdin.write(script)
        psql.stdin.close()
        assert psql.stdout.readline().strip() == "locked"
        yield
        psql.wait(20)


def test_a_graceful_stop_finishes_the_request_in_hand(stack: LocalStack) -> None:
    answers: list[Answer] = []
    with slow_articles(stack, 2):
        request = threading.Thread(target=lambda: answers.append(stack.http.get("/")))
        request.start()
        time.sleep(0.5)
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


def test_a_killed_worker_of_uwsgi_is_replaced_and_the_published_name_stays(local_prod: LocalStack) -> None:
    sockets = local_prod.checkout
    published = local_prod.published_socket()
    before = published.readlink()
    local_prod.kill_worker_of_uwsgi()
    wait_for(lambda: local_prod.http.get("/healthz").status == 200, 20, "an answer after the worker's death")
    assert published.readlink() == before
    assert sockets.exists()


def test_without_the_application_a_clear_page_says_so_in_both_languages(local_prod: LocalStack) -> None:
    group = local_prod.processes()["web"]
    os.killpg(group, signal.SIGSTOP)
    try:
        socket = local_prod.published_socket()
        target = socket.readlink()
        socket.unlink()
        answer = local_prod.http.get("/")
        socket.symlink_to(target)
    finally:
        os.killpg(group, signal.SIGCONT)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "5"
    assert "Back in a moment" in answer.text
    assert "马上回来" in answer.text
    style = re.search("<style>(.*)</style>", answer.text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    wait_for(lambda: local_prod.http.get("/").status == 200, 20, "the site is back")
