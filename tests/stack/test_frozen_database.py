"""PostgreSQL frozen (SIGSTOP to all of it) or stopped: files go on, the rest is a clear 503, and it comes back.

While it is frozen no time-out of its own works and nobody refuses a connection: who only waits, waits for ever.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stack import uwsgi
from tests.stack.containers import DockerStack, docker
from tests.stack.deploys import FULL, SLACK
from tests.stack.http import Answer
from tests.stack.load import Load, Sample, lost_rows, percentile, target
from tests.stack.local import LocalStack, wait_for
from tests.stack.rates import easy_rate
from tests.stack.test_http import stylesheet

pytestmark = pytest.mark.chaos

QUIET, FROZEN, AFTER = (10.0, 20.0, 10.0) if FULL else (3.0, 6.0, 2.0)
# Until the first request is answered: its patience (1 s) and the wait for a sign of life (2 s) of config.circuit, and
# the queue behind it. Then every answer is there at once, but for the one a second that looks again, for 2 s.
BOUND = 4.5
# Once the database answers again: the pause between two looks (1 s), and the look.
RECOVERY = 3.5
FLOOR = 0.02


def tree(process: int) -> list[int]:
    """A process and all below it."""
    found = [process]
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


@contextmanager
def frozen(stack: LocalStack) -> Iterator[None]:
    """No process of PostgreSQL runs."""
    if isinstance(stack, DockerStack):
        stack.send_signal("db", signal.SIGSTOP)
        try:
            yield
        finally:
            stack.send_signal("db", signal.SIGCONT)
        return
    stopped: list[int] = []
    try:
        # The postmaster first: it starts no more then.
        for process in tree(stack.processes()["postgres"]):
            os.kill(process, signal.SIGSTOP)
            stopped.append(process)
        yield
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


@contextmanager
def without_database(stack: LocalStack) -> Iterator[None]:
    """PostgreSQL has stopped, and nobody starts it."""
    if isinstance(stack, DockerStack):
        container = stack.container("db")
        docker("stop", container)
        try:
            yield
        finally:
            docker("start", container)
        return
    supervisor, postgres = int(str(stack.status()["pid"])), stack.processes()["postgres"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(postgres, signal.SIGINT)
        wait_for(lambda: Path(f"/proc/{postgres}/stat").read_text().split()[2] == "Z", 30, "PostgreSQL has stopped")
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)


def connections(stack: LocalStack) -> int:
    """How many connections the site has to the database."""
    return int(stack.psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'slipway_app'"))


def is_a_clear_page(answer: Answer) -> None:
    """Fail unless it says in both languages that the site is away, and when to come back."""
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "10"
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Back in a moment" in answer.text
    assert "马上回来" in answer.text


def seconds(samples: list[Sample]) -> list[float]:
    """How long the requests took."""
    return [sample.seconds for sample in samples]


@pytest.fixture
def loaded(stack: LocalStack) -> dict[str, Any]:
    """What to load: pages, files, and drafts that an administrator saves."""
    return target(stack.http, "admin", stack.admin_password())


def test_a_frozen_database_takes_nothing_with_it(stack: LocalStack, loaded: dict[str, Any], tmp_path: Path) -> None:
    before, connected = uwsgi.processes(stack), connections(stack)
    with Load(loaded, easy_rate(stack.http, loaded), tmp_path) as load:
        time.sleep(1)
        quiet = time.time()
        time.sleep(QUIET)
        with frozen(stack):
            stopped = time.time()
            time.sleep(BOUND)
            page = stack.http.get("/")
            ready = stack.http.get("/readyz")
            time.sleep(max(0.0, stopped + FROZEN - time.time()))
            # Over docker a signal takes its time, too.
            thawed = time.time()
        answering = time.time()
        while stack.http.get("/").status != 200:
            assert time.time() - answering < 30
            time.sleep(0.05)
        recovered = time.time()
        time.sleep(AFTER + max(0.0, RECOVERY - (recovered - answering)))
    report = load.measured()
    print(report.table(1))

    files = {
        name: [sample for sample in report.window(start, end) if sample.kind == "file"]
        for name, (start, end) in {"quiet": (quiet, stopped), "frozen": (stopped, thawed)}.items()
    }
    p99 = {name: percentile(seconds(samples), 0.99) for name, samples in files.items()}
    others = [sample for sample in report.window(stopped, thawed) if sample.kind != "file"]
    # What had been asked for just before the thaw may have been served after it.
    refused = [sample for sample in others if sample.at + sample.seconds < thawed]
    print(f"p99: files {1000 * p99['quiet']:.0f} ms before, {1000 * p99['frozen']:.0f} ms while it was frozen")
    print(f"p99: everything else {1000 * percentile(seconds(others), 0.99):.0f} ms to its 503 while it was frozen")
    print(f"requests: {len(report.samples)}, of which {len(refused)} were refused in {thawed - stopped:.0f} s")
    print(f"time to recover: {recovered - answering:.1f} s")

    is_a_clear_page(page)
    assert (ready.status, json.loads(ready.text)["reason"]) == (503, "the database does not answer")
    assert [sample for sample in report.samples if sample.kind == "file" and sample.failed] == []
    assert p99["frozen"] <= SLACK * (2 * p99["quiet"] + FLOOR)
    assert {sample.status for sample in refused} == {503}, {
        (sample.kind, sample.status, sample.error) for sample in refused
    }
    assert max(seconds(others)) <= SLACK * BOUND
    # After the first, nobody waits for more than a look.
    later = [sample for sample in others if sample.at > stopped + BOUND]
    assert max(seconds(later)) <= SLACK * 2.5
    assert percentile(seconds(later), 0.5) < SLACK * 0.25

    assert recovered - answering <= SLACK * RECOVERY
    since = max(recovered, answering + RECOVERY)
    assert [sample for sample in report.samples if sample.at > since and sample.failed] == []
    assert [sample for sample in report.samples if sample.at < stopped - 1 and sample.failed] == []
    assert lost_rows(report.acknowledged(), stack.psql) == []
    assert report.acknowledged()
    uwsgi.wait_until_idle(stack)
    assert uwsgi.processes(stack) == before
    assert connections(stack) <= connected


def test_a_stopped_database_is_a_clear_503_until_it_is_back(stack: LocalStack) -> None:
    before = uwsgi.processes(stack)
    style = stylesheet(stack)
    with without_database(stack):
        times = []
        for path in ("/", "/search/?q=nginx", "/feed.atom", "/", "/"):
            started = time.monotonic()
            is_a_clear_page(stack.http.get(path))
            times.append(time.monotonic() - started)
        assert stack.http.get(style).status == 200
        assert stack.http.get("/healthz").status == 200
    back = time.monotonic()
    print(f"p99: {1000 * max(times):.0f} ms to the 503 of a stopped database")
    assert max(times) <= SLACK * BOUND
    wait_for(lambda: stack.http.get("/").status == 200, 60, "the site is back")
    print(f"time to recover: {time.monotonic() - back:.1f} s after the start of a stopped database")
    assert uwsgi.processes(stack) == before
    if isinstance(stack, DockerStack):
        stack.wait_for_health("db", "healthy")
        stack.wait_for_health("web", "healthy")
