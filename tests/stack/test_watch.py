"""What `make logs` and `make ps` make of lines and numbers."""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
import time
from pathlib import Path
from typing import Any

import pytest

from local import stack as local_stack
from local.layout import Layout
from watch.entries import entry, readable, timestamp
from watch.figures import Part, Running, connections, merged, output
from watch.logs import LINES, Wanted, chosen, show
from watch.table import WIDTH, lines

ID, OTHER = "0ab9c1d2" * 4, "f" * 32
PROXY = {"service": "proxy", "request_id": ID, "method": "GET", "path": "/a/", "status": 200, "seconds": 0.021}


@pytest.mark.parametrize(
    ("source", "line", "expected"),
    [
        ("proxy", json.dumps(PROXY), (20, ID, "200 GET /a/  21 ms  0ab9c1d2")),
        ("proxy", json.dumps({**PROXY, "status": 503}), (40, ID, "503 GET /a/  21 ms  0ab9c1d2")),
        ("proxy", '2026/11/23 14:23:48 [crit] 1#1: *1 connect() failed', (40, "", "crit 1#1: *1 connect() failed")),
        ("web", json.dumps({"level": "WARNING", "message": "Not Found: /a/", "request_id": ID}),
         (30, ID, "WARNING Not Found: /a/  0ab9c1d2")),
        ("web", json.dumps({"level": "ERROR", "message": "broken", "exception": "Traceback\n  x", "request_id": ""}),
         (40, "", "ERROR broken\nTraceback\n  x")),
        ("web", json.dumps({"level": "WARNING", "message": "slow or failed", "request_id": ID, "status": 200,
                            "method": "GET", "milliseconds": 1200}),
         (30, ID, "WARNING slow or failed: 200 GET  1200 ms  0ab9c1d2")),
        ("web", f"HARAKIRI: --- uWSGI worker 1 (pid: 9) WAS managing request request_id={ID} since 14:00 ---",
         (40, ID, f"HARAKIRI: --- uWSGI worker 1 (pid: 9) WAS managing request request_id={ID} since 14:00 ---")),
        ("postgres", f"2026-11-23 14:26:52.455 UTC [7] slipway_app@slipway 57014 {ID} ERROR:  canceling statement",
         (40, ID, "ERROR canceling statement  0ab9c1d2")),
        ("db", "2026-11-23 14:26:52.455 UTC [7] postgres@slipway 00000 psql LOG:  duration: 3 ms",
         (20, "", "LOG duration: 3 ms")),
        ("db", "2026-11-23 14:26:52.455 UTC [1] LOG:  database is ready", (20, "", "LOG database is ready")),
        ("db", "{not json", (20, "", "{not json")),
        ("stack", "web ended with status 1: starting it again", (30, "", "web ended with status 1: starting it again")),
    ],
)  # fmt: skip
def test_a_line_is_put_into_words(source: str, line: str, expected: tuple[int, str, str]) -> None:
    found = entry(source, line)
    assert (found.level, found.request, found.text) == expected
    assert found.service == {"postgres": "db"}.get(source, source)


def test_what_continues_a_line_belongs_to_it() -> None:
    first = entry("db", f"2026-11-23 14:26:52.455 UTC [7] a@b 57014 {ID} ERROR:  duplicate key")
    detail = entry("db", f"2026-11-23 14:26:52.455 UTC [7] a@b 57014 {ID} DETAIL:  none", first)
    assert detail.level == logging.ERROR
    assert entry("db", "\tmore of it", first).request == ID


def test_what_strangers_send_does_not_steer_the_terminal() -> None:
    line = readable(entry("proxy", "referrer \x1b]0;pwned\x07 and \x9b31m"), colour=False)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", line)
    assert "pwned" in line


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2026-11-23T14:22:47.841Z", 1795443767.841), ("2026-11-23T14:22:47.123456789Z", 1795443767.123456789),
     ("2026-11-23T14:22:47Z", 1795443767.0), ("yesterday", None), ("", None)],
)  # fmt: skip
def test_the_time_of_a_line(text: str, seconds: float | None) -> None:
    assert timestamp(text) == (None if seconds is None else pytest.approx(seconds, abs=1e-6))


def line(source: str, second: int, request: str = ID, level: str = "INFO") -> str:
    """A line as Compose prints it."""
    text = json.dumps({"level": level, "message": f"at {second}", "request_id": request})
    return f"{source}  | 2026-11-23T14:00:{second:02}.5Z {text}\n"


def printed(given: list[str], wish: Wanted, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is shown of `given`, without the time."""
    show(given, wish, live=False)
    return [text.split("  ", 1)[1] for text in capsys.readouterr().out.splitlines()]


def test_a_request_is_shown_in_the_order_of_time_whoever_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    given = [line("web-1", 9), line("web-1", 3, OTHER), line("db-1", 1), line("web-2", 5)]
    assert printed(given, Wanted(request=ID[:8]), capsys) == [
        "db       │ INFO at 1  0ab9c1d2",
        "web      │ INFO at 5  0ab9c1d2",
        "web      │ INFO at 9  0ab9c1d2",
    ]


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        (Wanted(), [1, 2, 3, 4]),
        (Wanted(service="db"), [3, 4]),
        (Wanted(level=logging.WARNING), [2, 4]),
        (Wanted(since=1795442402.9), [3, 4]),
        (Wanted(request=OTHER), [2]),
        (Wanted(request="0" * 8), []),
    ],
)
def test_what_is_wanted_is_chosen(wish: Wanted, seconds: list[int]) -> None:
    given = [
        line("web-1", 1),
        line("worker-1", 2, OTHER, "ERROR"),
        line("postgres", 3),
        line("db-1", 4, ID, "WARNING"),
        "no line of a service\n",
    ]
    assert [int(found.text.split()[2]) for _, found in chosen(given, wish)] == seconds


def test_without_a_wish_the_last_lines_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    given = [line("web-1", number % 60) for number in range(LINES + 50)]
    assert len(printed(given, Wanted(), capsys)) == LINES
    assert len(printed(given, Wanted(request=ID), capsys)) == LINES + 50


def test_the_log_of_the_local_engine_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hundredth of the limit: what is kept does not grow, and is the newest."""
    monkeypatch.setattr(local_stack, "LOG_BYTES", local_stack.LOG_BYTES // 100)
    stack = local_stack.Stack(Layout(tmp_path, tmp_path, tmp_path), "prod")
    stack.places.log_file.parent.mkdir()
    stack.log = logging.getLogger(f"slipway.{tmp_path.name}")
    stack.set_up_logging()
    for number in range(15_000):
        stack.log.info("%s %s", number, "x" * 60, extra={"source": "web"})
    for handler in stack.log.handlers:
        handler.close()
    kept = sorted(path.name for path in stack.places.log_file.parent.iterdir())
    assert kept == ["stack.log", "stack.log.1", "stack.log.2", "stack.log.3"]
    assert sum(path.stat().st_size for path in stack.places.log_file.parent.iterdir()) <= 4 * local_stack.LOG_BYTES
    assert "14999 x" in stack.places.log_file.read_text()


def part(service: str, /, health: str = "healthy", **numbers: Any) -> Part:
    """A part of a stack."""
    return {
        "service": service,
        "health": health,
        "release": "4f1c22a90b7e",
        "uptime": 7200.0,
        "numbers": numbers or None,
    }


def a_stack() -> Running:
    """A stack in the middle of a deploy."""
    web: dict[str, Any] = {"workers": 2, "requests": 1_204_511, "exceptions": 0, "harakiri": 0}
    return {
        "name": "slipway", "engine": "docker", "mode": "prod", "url": "https://blog.example.org",
        "parts": [
            part("proxy", connections=12, ports=[80, 443], certificate_ends=time.time() + 61.5 * 86400),
            part("web", **web, busy=1, serving=True),
            part("web", "starting", **{**web, "requests": 4, "exceptions": 3}, busy=0, serving=False),
            part("worker", waiting=0, running=1, failed=2),
            part("db", connections=6, limit=50, bytes=48_300_000),
            part("backup", "unhealthy", type="incr", age=320, archive=f"failing for 20 min: {'x' * 90}",
                 drill_age=259300, drill_ok=True),
            {"service": "acme", "health": "down (137)", "release": "4f1c22a90b7e", "uptime": None, "numbers": None},
        ],
    }  # fmt: skip


def test_the_table_says_how_each_part_is() -> None:
    table = lines(a_stack(), colour=False)
    assert [row.rstrip() for row in table] == table
    assert max(map(len, table)) <= WIDTH
    assert table == [
        "slipway   prod, docker engine   https://blog.example.org",
        "          HEALTH      RELEASE           UP",
        "  proxy   healthy     4f1c22a90b7e     2 h  12 connections, ports 80 443, certificate 61 d",
        "  web     healthy     4f1c22a90b7e     2 h  1/2 busy, 1204511 requests, 0 exceptions",
        "  web     starting    4f1c22a90b7e     2 h  0/2 busy, 4 requests, 3 exceptions, no traffic",
        "  worker  healthy     4f1c22a90b7e     2 h  tasks: 0 waiting, 1 running, 2 failed",
        "  db      healthy     4f1c22a90b7e     2 h  6/50 connections, 48.3 MB",
        f"  backup  unhealthy   4f1c22a90b7e     2 h  archive failing for 20 min: {'x' * 27}…",
        "  acme    down (137)  4f1c22a90b7e       –",
    ]


def test_what_does_not_answer_has_no_numbers() -> None:
    stack = a_stack()
    for item in stack["parts"]:
        item["numbers"] = None
    assert sum(row.endswith("no answer") for row in lines(stack, colour=False)) == 6


def test_a_program_that_does_not_end_is_not_waited_for() -> None:
    started = time.monotonic()
    assert output(["sleep", "30"], seconds=0.2) is None
    assert time.monotonic() - started < 2
    assert output(["no-such-program"]) is None


def test_answers_are_read_leniently() -> None:
    assert merged('ERROR: x\n{"a": 1}\n[2]\n{"b": 2}\n') == {"a": 1, "b": 2}
    assert merged("nothing") is None
    assert merged(None) is None
    assert connections("Active connections: 3 \nserver accepts handled requests\n 9 9 9 \n") == 3
    assert connections("403 Forbidden") is None
