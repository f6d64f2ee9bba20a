"""Hundreds of clients that take their time (slowloris) hold no worker, keep nobody waiting, and are ended by nginx."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.stack import uwsgi
from tests.stack.containers import DockerStack
from tests.stack.deploys import FULL, SLACK
from tests.stack.load import Load, percentile, target
from tests.stack.local import LocalStack
from tests.stack.rates import easy_rate
from tests.stack.strangers import job, visiting

pytestmark = pytest.mark.chaos

# All at one address.
HEADERS, BODIES, SILENT, READERS = (500, 150, 20, 400) if FULL else (500, 130, 10, 60)
QUIET, OPENING = (15.0, 6.0) if FULL else (3.0, 3.0)
FLOOR = 0.05
# nginx's client_header_timeout, client_body_timeout and send_timeout, and what a loaded machine adds.
HEADER, BODY, SEND = 10, 10, 15
MORE = 3
# How long they stay.
STAY = SEND + MORE if FULL else HEADER + MORE


def large_file(stack: LocalStack) -> str:
    """The address of a file of some hundred kilobytes: a few of it fill the buffers of both kernels."""
    if isinstance(stack, DockerStack):
        root, command = "/srv/static", "find /srv/static -name 'xregexp.????????????.js'"
        found = stack.execute("proxy", "sh", "-c", command).splitlines()
    else:
        root = str(stack.checkout / ".local/static")
        found = [str(path) for path in Path(root).rglob("xregexp.????????????.js")]
    return "/static" + found[0].removeprefix(root)


def test_slow_clients_keep_nobody_waiting(stack: LocalStack, tmp_path: Path) -> None:
    slow = [
        job("headers", HEADERS, over=OPENING, seconds=STAY),
        job("bodies", BODIES, "/healthz", over=OPENING, seconds=STAY),
        job("silent", SILENT, "/i18n/setlang/", "POST", over=OPENING, seconds=STAY),
        job("readers", READERS, large_file(stack), over=OPENING, seconds=STAY),
    ]
    wanted = target(stack.http)
    with Load(wanted, easy_rate(stack.http, wanted), tmp_path) as load:
        time.sleep(1)
        quiet = time.time()
        time.sleep(QUIET)
        with visiting(stack, *slow) as visits:
            # Handshakes cost the processor what they cost with anybody.
            opened = time.time()
            time.sleep(OPENING + 1)
            started = time.time()
        ended = time.time()
        time.sleep(QUIET)
        end = time.time()
    report = load.measured()
    print(report.table(2))
    _, bodies, _, _ = visits
    # What else the machine does comes and goes: the quiet before and the quiet after count together.
    without, meanwhile = report.p99([(quiet, opened), (ended, end)]), report.p99([(started, ended)])
    slowly = HEADERS + BODIES + SILENT + READERS
    print(f"p99: {1000 * without:.0f} ms without, {1000 * meanwhile:.0f} ms with {slowly} slow clients")
    print(f"requests: {len(report.window(started, ended))} of others meanwhile, {len(report.failures())} failed")
    times = {
        name: [seconds for _, seconds in found if seconds is not None]
        for name, found in zip(("headers", "bodies", "silent", "readers"), visits, strict=True)
    }
    for name, found in times.items():
        print(f"p99: slow {name} ended after {percentile(found, 0.99):.1f} s, {len(found)} of them")

    assert report.failures() == []
    assert meanwhile <= SLACK * (2 * without + FLOOR)
    # A whole header has its time, however it trickles.
    assert len(times["headers"]) == HEADERS
    assert max(times["headers"]) <= HEADER + MORE
    # A body that trickles has none: an address has LIMIT_REQUESTS of them and of others at once.
    held = [status for status, seconds in bodies if seconds is None]
    assert 100 - SILENT <= len(held) <= 100
    assert {status for status, seconds in bodies if seconds is not None} == {429}
    # One that does not come at all has.
    assert len(times["silent"]) == SILENT
    assert max(times["silent"]) <= BODY + MORE
    # An answer that nobody reads has, too.
    assert 0.95 * READERS <= len(times["readers"]) <= READERS if FULL else not times["readers"]
    assert max(times["readers"], default=0) <= SEND + MORE
    uwsgi.wait_until_idle(stack)
