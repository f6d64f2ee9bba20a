"""Scenario 4: each process in turn is killed under load. It comes back by itself, and nothing acknowledged is lost."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stack import killing
from tests.stack.containers import UNFINISHED, DockerStack
from tests.stack.deploys import FULL
from tests.stack.http import Client
from tests.stack.killing import Kind
from tests.stack.load import Load, Report, lost_comments, lost_rows, target
from tests.stack.local import LocalStack, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(3600 if FULL else 600)]

QUIET_SECONDS = 5.0 if FULL else 1.0
# Requests a second.
RATE = 15.0
# Enough to find the worker with one of them in hand.
TASKS = "from blog.tasks import reindex; [reindex.enqueue() for _ in range(200)]"
RUNNING = "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status = 'RUNNING'"
AGAIN = (
    "UPDATE django_tasks_database_dbtaskresult SET status = 'READY', started_at = NULL, finished_at = NULL "
    "WHERE task_path = 'blog.tasks.reindex' AND status = 'SUCCESSFUL'"
)
FAILED = "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status = 'FAILED'"
COMMENTED = "SELECT string_agg(id::text, ',') FROM blog_article WHERE status = 'published' AND comment_policy = 'open'"
# Of what the load does as one person from one address.
NO_LIMITS = "DELETE FROM config_limit WHERE scope ~ '^(comment|vote)/'"
AMCHECK = """
CREATE EXTENSION amcheck;
SELECT count(bt_index_check(i.indexrelid, true)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relpersistence = 'p' AND i.indisvalid;
SELECT count(*) FROM pg_class c, verify_heapam(c.oid) WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence = 'p';
DROP EXTENSION amcheck;
"""


@dataclass(frozen=True)
class Strike:
    """What is killed, and how long readers may see errors, in seconds; none at all for 0."""

    name: str
    kind: Kind
    seconds: float
    # Not the process, but the first of its container.
    container: bool = False


# A reader behind one of two workers that dies gets an error; the other worker goes on.
PROCESSES = (
    Strike("uWSGI worker", killing.UWSGI_WORKER, 8),
    Strike("uWSGI master", killing.UWSGI_MASTER, 20),
    Strike("nginx worker", killing.NGINX_WORKER, 8),
    Strike("nginx master", killing.NGINX_MASTER, 15),
    Strike("PostgreSQL backend", killing.BACKEND, 15),
    Strike("postmaster", killing.POSTMASTER, 20),
    Strike("background worker", killing.QUEUE, 0),
)
# The proxy's is nginx's master, the database's the postmaster.
CONTAINERS = (
    Strike("web's container", killing.UWSGI_MASTER, 15, container=True),
    Strike("worker's container", killing.QUEUE, 0, container=True),
)


def catch_with_a_task_in_hand(stack: LocalStack) -> None:
    """Stop the background worker in the middle of a task. Raises AssertionError when none can be caught."""
    for _ in range(40):
        # A worker may do them all in the time of two looks at a busy machine.
        stack.psql(AGAIN)
        time.sleep(0.1)
        worker = killing.oldest(stack, killing.QUEUE)
        killing.send(stack, "worker", worker, signal.SIGSTOP)
        if stack.psql(RUNNING) != "0":
            return
        killing.send(stack, "worker", worker, signal.SIGCONT)
    raise AssertionError("the worker was never found with a task in hand")


def is_ready(stack: LocalStack) -> bool:
    """Whether the site says that it can answer."""
    with suppress(OSError, EOFError):
        return stack.http.get("/readyz").status == 200
    return False


def settle(stack: LocalStack) -> None:
    """Wait until a reader does not wait for others: what is left to be answered would be counted with the next kill.

    A machine that is busy with other things may never get there.
    """
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        started = time.monotonic()
        with suppress(OSError):
            if stack.http.get("/").status == 200 and time.monotonic() - started < 1:
                return
        time.sleep(0.2)


def easy_rate(stack: LocalStack) -> float:
    """Requests a second that this machine carries easily now, at most RATE: a quarter of what two workers can do."""
    times = []
    for _ in range(8):
        started = time.monotonic()
        assert stack.http.get("/").status == 200
        times.append(time.monotonic() - started)
    return max(6.0, min(RATE, 0.25 * 2 * len(times) / sum(times)))


def healthy(stack: LocalStack, standing: dict[Kind, int]) -> bool:
    """Whether all is there that was there before, each as often, and the site is ready."""
    return is_ready(stack) and killing.counted(stack) == standing


class Chaos:
    """A stack under load, what was killed and when, and what is to be the same afterwards."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.standing = killing.counted(stack)
        self.socket = killing.sockets(stack)
        self.seen: dict[int, str] = {}
        self.struck: list[tuple[Strike, float, float, float]] = []

    def strike(self, what: Strike) -> None:
        """Kill it, and wait until everything is as before."""
        stack = self.stack
        settle(stack)
        stack.psql(NO_LIMITS)
        if what.kind is killing.QUEUE:
            catch_with_a_task_in_hand(stack)
        if not isinstance(stack, DockerStack):
            self.seen |= killing.everything(stack)
        victim = killing.oldest(stack, what.kind)
        moment = time.time()
        if what.container and isinstance(stack, DockerStack):
            stack.send_signal_to_first(what.kind.service, signal.SIGKILL)
        else:
            killing.send(stack, what.kind.service, victim, signal.SIGKILL)
        wait_for(lambda: victim not in killing.listing(stack, what.kind.service), 30, f"{what.name} is gone")
        wait_for(lambda: healthy(stack, self.standing), 90, f"after {what.name}, {self.standing}")
        whole = time.time()
        time.sleep(QUIET_SECONDS)
        self.struck.append((what, moment, whole, time.time()))

    def measured(self, report: Report) -> Iterator[tuple[str, bool]]:
        """For each kill: what is printed of it, and whether readers saw errors only as long as they may."""
        for what, moment, whole, end in self.struck:
            during = [item for item in report.samples if moment <= item.at + item.seconds and item.at < end]
            failed = [item for item in during if item.failed and item.at + item.seconds < end]
            last = max((item.at for item in failed), default=moment)
            good = [item.at for item in during if item.at > last and not item.failed]
            seconds = max(0.0, min(good, default=end) - moment) if failed else 0.0
            causes = Counter(str(item.status) if item.status else "cut" for item in failed)
            said = ", ".join(f"{cause}: {count}" for cause, count in sorted(causes.items()))
            line = (
                f"time to recover: {what.name} {seconds:.1f} s, {len(failed)} errors of {len(during)} requests"
                f"{f' ({said})' if said else ''}; all processes there after {whole - moment:.1f} s"
            )
            yield f"{line} [{self.stack.name}]", seconds <= what.seconds and bool(what.seconds or not failed)


def test_what_is_killed_comes_back_by_itself_and_nothing_is_lost(stack: LocalStack, tmp_path: Path) -> None:
    is_docker = isinstance(stack, DockerStack)
    wait_for(lambda: is_ready(stack), 60, "the site is ready")
    chaos = Chaos(stack)
    failed_before = stack.psql(FAILED)
    commented = [int(number) for number in stack.psql(COMMENTED).split(",")]
    wanted = target(Client(stack.url), "admin", stack.admin_password(), 0.4, commented)
    stack.manage("shell", "--no-imports", "-c", f"'{TASKS}'")
    with Load(wanted, easy_rate(stack), tmp_path) as load:
        for what in (*PROCESSES, *(CONTAINERS if is_docker else ())):
            chaos.strike(what)
    report = load.measured()
    print(f"{load.rate:.0f} requests a second\n{report.table()}", flush=True)
    late = []
    for line, in_time in chaos.measured(report):
        print(line, flush=True)
        late += [] if in_time else [line]
    assert late == []
    # Nothing but the ways of an outage: a page that says so, or a connection that ends.
    assert {item.status for item in report.failures()} <= {0, 503}
    comments, drafts = report.comments(), report.acknowledged()
    assert comments
    assert drafts
    assert lost_comments(comments, stack.psql) == []
    assert lost_rows(drafts, stack.psql) == []
    assert stack.manage("counters").splitlines()[-1] == "all counters are right"
    print(f"requests: {len(report.samples)}, comments acknowledged: {len(comments)}, drafts: {len(drafts)}, lost: 0")
    wait_for(lambda: stack.psql(UNFINISHED) == "0", 60, "every task is done")
    assert stack.psql(FAILED) == failed_before
    assert "is queued again: its worker" in stack.logs()
    assert stack.psql(AMCHECK).split()[-1] == "0"
    assert killing.sockets(stack) == chaos.socket
    if isinstance(stack, DockerStack):
        assert killing.containers(stack) == ["db", "web", "worker", "proxy"]
    else:
        assert killing.orphans(chaos.seen, stack) == []
