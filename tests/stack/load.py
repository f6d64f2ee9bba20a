"""Open-loop load on a running stack: requests leave by the clock, however slow the answers are.

A closed loop would wait for a slow answer and so not send what would have failed. Latency counts from the moment a
request was to leave. It runs as a process of its own (python -m tests.stack.load), started and read by `Load`.

GET and POST are mixed. A POST saves a draft by the site's own form, or comments on an article, or votes for it. What
the site says it has stored is collected: `acknowledged` drafts by their ids, comments by the keys of their forms. Each
must be in the database afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.stack.http import Client, unverified

TIMEOUT = 45.0
# Of requests that may, this share comes on a connection that is open already, as a browser's second request does.
REUSED = 0.8
MOST_IDLE = 40
# Where the site sends the browser once it has stored what a form held.
STORED = {
    "draft": rb"/write/(\d+)/", "comment": rb"/[^/]+/[^/]+/(?:\?page=\d+)?#floor-\d+", "vote": rb"/[^/]+/[^/]+/#votes",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Sample:
    """One request: when it was to leave (seconds since 1970), how long it took from then, what came of it."""

    at: float
    seconds: float
    kind: str
    status: int
    row: int = 0
    error: str = ""
    # Of a comment that was acknowledged: the key of its form.
    key: str = ""

    @property
    def failed(self) -> bool:
        """Whether a reader would have seen an error."""
        return self.status == 0 or self.status >= 400


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` of them lie (0.99 for the p99), by the nearest rank; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass
class Report:
    """What a run of load measured."""

    samples: list[Sample]
    # Of one core.
    cpu: float
    # The longest that a request left too late, in seconds: above some tens of ms the numbers say nothing.
    late: float

    def window(self, start: float, end: float) -> list[Sample]:
        """The requests that were to leave between two moments."""
        return [sample for sample in self.samples if start <= sample.at < end]

    def failures(self) -> list[Sample]:
        """The requests that failed."""
        return [sample for sample in self.samples if sample.failed]

    def p99(self, windows: Iterable[tuple[float, float]]) -> float:
        """The p99 of the requests in some windows together, in seconds."""
        return percentile([item.seconds for start, end in windows for item in self.window(start, end)], 0.99)

    def acknowledged(self) -> list[int]:
        """The ids of the rows that the site said it had saved."""
        return sorted(sample.row for sample in self.samples if sample.row)

    def comments(self) -> list[str]:
        """The keys of the comments that the site said it had stored."""
        return [sample.key for sample in self.samples if sample.key]

    def table(self, seconds: float = 10.0) -> str:
        """A line for each span of `seconds`: requests, failures, median, p99, the slowest."""
        if not self.samples:
            return "no request was sent"
        start = self.samples[0].at
        lines = ["    at s  requests  failed    p50 ms    p99 ms    max ms"]
        moment = start
        while moment <= self.samples[-1].at:
            inside = self.window(moment, moment + seconds)
            times = [1000 * item.seconds for item in inside] or [0.0]
            lines.append(
                f"{moment - start:8.0f} {len(inside):9d} {sum(item.failed for item in inside):7d} "
                f"{percentile(times, 0.5):9.0f} {percentile(times, 0.99):9.0f} {max(times):9.0f}"
            )
            moment += seconds
        kinds = Counter(f"{item.kind} {item.status or item.error}" for item in self.samples)
        lines.append(", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items())))
        lines.append(f"generator: {100 * self.cpu:.0f} % of a core, at most {1000 * self.late:.0f} ms late")
        return "\n".join(lines)


class ClosedError(Exception):
    """The server closed a connection that had been idle, without a byte of an answer."""


class Generator:
    """Sends the requests."""

    def __init__(self, target: dict[str, Any], rate: float, seconds: float) -> None:
        parts = urlsplit(target["url"])
        self.host, self.port = str(parts.hostname), int(parts.port or 443)
        self.origin = target["url"]
        self.rate, self.seconds = rate, seconds
        self.paths: list[tuple[str, str, int]] = [tuple(item) for item in target["paths"]]
        self.cookies: str = target.get("cookies", "")
        self.token: str = target.get("token", "")
        self.posts: float = target.get("posts", 0.0)
        # The articles that may be commented; a quarter of the POSTs are then comments, a quarter votes.
        self.commented: list[int] = target.get("commented", [])
        self.tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self.tls = unverified()
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.samples: list[Sample] = []
        self.late = 0.0
        self.random = random.Random(20261123)
        self.stopping = asyncio.Event()

    async def exchange(self, request: bytes, reuse: bool) -> tuple[int, dict[bytes, bytes]]:
        """Send a request and read the whole answer; its status and headers. Raises OSError, ClosedError, ValueError."""
        reused = reuse and bool(self.idle)
        if reused:
            reader, writer = self.idle.pop()
        else:
            reader, writer = await asyncio.open_connection(
                self.host, self.port, ssl=self.tls, server_hostname=self.host if self.tls else None
            )
        keep = False
        try:
            try:
                writer.write(request)
                await writer.drain()
                line = await reader.readline()
            except (ConnectionError, ssl.SSLError):
                if reused:
                    raise ClosedError from None
                raise
            if not line:
                if reused:
                    raise ClosedError
                raise ConnectionResetError("closed without an answer")
            status, headers = int(line.split()[1]), {}
            while (header := await reader.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                headers[name.strip().lower()] = value.strip()
            if headers.get(b"transfer-encoding") == b"chunked":
                while size := int(await reader.readline(), 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            elif b"content-length" in headers:
                await reader.readexactly(int(headers[b"content-length"]))
            else:
                await reader.read()
                headers[b"connection"] = b"close"
            keep = headers.get(b"connection", b"").lower() != b"close" and len(self.idle) < MOST_IDLE
            return status, headers
        finally:
            if keep:
                self.idle.append((reader, writer))
            else:
                writer.close()

    def get(self, path: str) -> bytes:
        return (f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nUser-Agent: load\r\n\r\n").encode()

    def post(self) -> tuple[str, bytes, str]:
        """A form that is sent: its kind, the request, and of a comment the key."""
        key = str(uuid.uuid4())
        kind = self.random.choices(("draft", "comment", "vote"), (2, 1, 1))[0] if self.commented else "draft"
        article = self.random.choice(self.commented) if self.commented else 0
        fields = {
            "draft": {
                "title": f"load {uuid.uuid4()}", "body": "**写** a row", "language": "en", "comment_policy": "open",
                "version": "0", "key": key, "do": "save",
            },
            "comment": {"body": f"**评** a comment {key}", "key": key},
            "vote": {"value": self.random.choice(("1", "-1", "0"))},
        }  # fmt: skip
        addresses = {"draft": "/write/new/", "comment": f"/comments/on/{article}/", "vote": f"/votes/{article}/"}
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": self.token, **fields[kind]}).encode()
        head = (
            f"POST {addresses[kind]} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nUser-Agent: load\r\n"
            f"Origin: {self.origin}\r\nCookie: {self.cookies}\r\n"
            f"Referer: {self.origin}/write/new/\r\nConnection: close\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return kind, head.encode() + body, key if kind == "comment" else ""

    async def one(self, at: float) -> None:
        """One request that was to leave at `at`."""
        posting = self.random.random() < self.posts
        key, reuse = "", False
        if posting:
            kind, request, key = self.post()
        else:
            weights = [weight for *_, weight in self.paths]
            kind, path, _ = self.random.choices(self.paths, weights)[0]
            request, reuse = self.get(path), self.random.random() < REUSED
        self.late = max(self.late, time.time() - at)
        status, row, error = 0, 0, ""
        try:
            async with asyncio.timeout(TIMEOUT):
                try:
                    status, headers = await self.exchange(request, reuse)
                except ClosedError:
                    # Any browser asks again.
                    status, headers = await self.exchange(request, False)
            if posting and status < 400:
                found = re.fullmatch(STORED[kind], headers.get(b"location", b""))
                status = status if found else 400
                row = int(found[1]) if found and kind == "draft" else 0
        except (OSError, ssl.SSLError, ValueError, IndexError, EOFError, TimeoutError, ClosedError) as problem:
            error = type(problem).__name__
        acknowledged = key if 0 < status < 400 else ""
        self.samples.append(Sample(at, time.time() - at, kind, status, row, error, acknowledged))

    async def run(self) -> None:
        """Send until the time is over or SIGTERM comes; then wait for what is on its way."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        start, count, tasks = time.time(), 0, set()
        while not self.stopping.is_set():
            at = start + count / self.rate
            if at - start >= self.seconds:
                break
            if (pause := at - time.time()) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), pause)
                if self.stopping.is_set():
                    break
            task = asyncio.create_task(self.one(at))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            count += 1
        if tasks:
            await asyncio.wait(tasks)
        for _, writer in self.idle:
            writer.close()
        await asyncio.sleep(0)


class Load:
    """Load on a stack from a process of its own, for the length of a `with` block; `report` is there after it."""

    def __init__(self, target: dict[str, Any], rate: float, directory: Path, seconds: float = 3600) -> None:
        self.directory, self.rate, self.seconds = directory, rate, seconds
        self.target = target
        self.process: subprocess.Popen[bytes] | None = None
        self.report: Report | None = None

    def __enter__(self) -> Load:
        (self.directory / "target.json").write_text(json.dumps(self.target))
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.stack.load", "--rate", str(self.rate), "--seconds", str(self.seconds),
                str(self.directory),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(TIMEOUT + 30)
        loaded = json.loads((self.directory / "report.json").read_text())
        samples = sorted((Sample(**item) for item in loaded["samples"]), key=lambda sample: sample.at)
        self.report = Report(samples, loaded["cpu"], loaded["late"])

    def measured(self) -> Report:
        """The report. Only after the block."""
        assert self.report
        return self.report


def site_paths(client: Client, files_weight: int) -> list[tuple[str, str, int]]:
    """What readers of the site ask for, as kind, path and weight, found on its front page."""
    page = client.get("/").text
    articles = [
        path for path in re.findall(r'href="(/[\w-]+/[^"/]+/)"', page) if not path.startswith(("/tag", "/account"))
    ]
    files = (
        re.findall(r'href="(/static/[^"]+\.css)"', page)[:1] + re.findall(r'src="(/(?:static|media)/[^"]+)"', page)[:3]
    )
    paths = [("front", "/", 30), ("search", "/search/?q=nginx", 5), ("feed", "/feed.atom", 10)]
    paths += [("article", path, 6) for path in articles[:5]]
    return paths + [("file", path, files_weight) for path in files]


def logged_in(client: Client, username: str, password: str) -> tuple[str, str]:
    """Log in by the form; the cookies to send, and the token for forms."""
    jar: dict[str, str] = {}

    def keep(headers: Any) -> None:
        for line in headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            jar[name.strip()] = value

    def cookies() -> str:
        return "; ".join(f"{name}={value}" for name, value in jar.items())

    def token(text: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
        assert found, text[:2000]
        return found[1]

    page = client.get("/account/login/")
    keep(page.headers)
    fields = {"csrfmiddlewaretoken": token(page.text), "login": username, "password": password}
    headers = {
        "Cookie": cookies(), "Origin": client.origin, "Referer": f"{client.origin}/account/login/",
        "Content-Type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    answer = client.request("POST", "/account/login/", urllib.parse.urlencode(fields).encode(), headers)
    assert answer.status == 302, (answer.status, answer.text[:2000])
    keep(answer.headers)
    page = client.get("/write/new/", Cookie=cookies())
    assert page.status == 200, page.status
    keep(page.headers)
    return cookies(), token(page.text)


def target(
    client: Client,
    username: str = "",
    password: str = "",
    posts: float = 0.1,
    commented: list[int] | None = None,
    files_weight: int = 25,
) -> dict[str, Any]:
    """What to load: the paths of a site, and with a user's password the share of requests that send a form.

    The forms save drafts, and comment on and vote for the articles with the ids `commented`. All pages together weigh
    75; with one a browser asks for its files, and for the next it has them already: 25 for each of the four files are
    readers who stay, 100 are readers who come for one page.
    """
    found: dict[str, Any] = {"url": client.origin, "paths": site_paths(client, files_weight)}
    if username:
        cookies, token = logged_in(client, username, password)
        found |= {"cookies": cookies, "token": token, "posts": posts, "commented": commented or []}
    return found


def lost_rows(acknowledged: list[int], psql: Callable[[str], str]) -> list[int]:
    """Which of the drafts that the site said it had saved are not in the database."""
    if not acknowledged:
        return []
    wanted = ",".join(map(str, acknowledged))
    found = psql(f"SELECT string_agg(id::text, ',') FROM blog_article WHERE id = ANY('{{{wanted}}}')")
    return sorted(set(acknowledged) - {int(item) for item in found.split(",") if item})


def lost_comments(acknowledged: list[str], psql: Callable[[str], str]) -> list[str]:
    """Which of the comments that the site said it had stored are not in the database, by the keys of their forms."""
    if not acknowledged:
        return []
    wanted = ",".join(acknowledged)
    found = psql(f"SELECT string_agg(form_key::text, ',') FROM blog_comment WHERE form_key = ANY('{{{wanted}}}')")
    return sorted(set(acknowledged) - set(found.split(",")))


def main() -> None:
    """Run the load that `Load` asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    started = time.monotonic()
    wanted = json.loads((options.directory / "target.json").read_text())

    async def run() -> Generator:
        generator = Generator(wanted, options.rate, options.seconds)
        await generator.run()
        return generator

    generator = asyncio.run(run())
    used = resource.getrusage(resource.RUSAGE_SELF)
    report = {
        "cpu": (used.ru_utime + used.ru_stime) / max(0.1, time.monotonic() - started),
        "late": generator.late,
        "samples": [vars(sample) for sample in generator.samples],
    }
    (options.directory / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
