"""Somebody at another address than the tests, which the limits do not count; well-behaved or not.

On the local engine another address of the loopback network, with Docker a container on the proxy's network:
tests.stack.strangers runs this file there, as a script that needs nothing but Python.

A job is a dictionary: `kind`, `host`, `port`, `name` (the site's), `tls`, `source` (address to come from, or empty),
`count`, `after` (seconds before the first), `over` (seconds within which the connections open), `seconds` (how long to
stay), `path`, `method`.

    requests   whole requests, each on a connection of its own: status and seconds of each
    headers    a header that comes a byte a second
    bodies     a body that comes a byte a second
    silent     a body that never comes
    readers    many files asked for, of which nothing is read

For the last four: the status that came, and how many seconds after it opened the server ended each connection (None: it
stood to the end).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import sys
import time
from typing import Any

TCP_CLOSE, TCP_CLOSE_WAIT = 7, 8
Result = tuple[int, "float | None"]


class Visit:
    """The connections of one job."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.context: ssl.SSLContext | None = None
        if job["tls"]:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE
            self.context.set_alpn_protocols(["http/1.1"])

    async def connect(self, receive_buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection. Raises OSError."""
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if self.job["source"]:
            plain.bind((self.job["source"], 0))
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (self.job["host"], self.job["port"]))
        name = self.job["name"] if self.context else None
        return await asyncio.open_connection(sock=plain, ssl=self.context, server_hostname=name, limit=4096)

    def head(self, method: str, *more: str) -> bytes:
        lines = [f"{method} {self.job['path']} HTTP/1.1", f"Host: {self.job['name']}", "User-Agent: stranger", *more]
        return "\r\n".join([*lines, "", ""]).encode()

    async def request(self) -> Result:
        """A whole request; its status (0: none) and seconds."""
        started = time.monotonic()
        reader, writer = await self.connect()
        try:
            writer.write(self.head(self.job["method"], "Content-Length: 0", "Connection: close"))
            line = (await reader.readline()).split()
            while await reader.read(65536):
                pass
            return int(line[1]) if line else 0, time.monotonic() - started
        finally:
            writer.close()

    async def slow(self) -> Result:
        """A connection that takes its time; what the server said, and when it ended it."""
        job, kind = self.job, self.job["kind"]
        started, status = time.monotonic(), 0
        form = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 900000")
        reader, writer = await self.connect(4096 if kind == "readers" else 0)
        try:
            if kind == "headers":
                writer.write(self.head("GET")[:-2] + b"X-Slow: ")
            elif kind == "readers":
                writer.write(self.head("GET") * 30)
                await asyncio.sleep(0.1)
                # Nothing more is taken from the kernel, so that its buffers fill and the server's too.
                writer.transport.pause_reading()  # type: ignore[attr-defined]
            else:
                writer.write(self.head(job["method"], *form))
            while time.monotonic() - started < job["seconds"]:
                if kind in ("headers", "bodies"):
                    writer.write(b"a")
                    await writer.drain()
                if kind == "readers":
                    await asyncio.sleep(1)
                    # The kernel knows of a reset before anything is read.
                    state = writer.get_extra_info("socket").getsockopt(socket.SOL_TCP, socket.TCP_INFO, 1)[0]
                    if state in (TCP_CLOSE, TCP_CLOSE_WAIT):
                        return status, time.monotonic() - started
                    continue
                with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                    line = await asyncio.wait_for(reader.readline(), 1)
                    if found := re.match(rb"HTTP/1.1 (\d+)", line):
                        status = int(found[1])
                    if not line:
                        return status, time.monotonic() - started
            return status, None
        except (OSError, ssl.SSLError):
            return status, time.monotonic() - started
        finally:
            writer.transport.abort()

    async def one(self, number: int) -> Result:
        await asyncio.sleep(self.job["after"] + self.job["over"] * number / self.job["count"])
        try:
            return await (self.request() if self.job["kind"] == "requests" else self.slow())
        except (OSError, ssl.SSLError, IndexError, ValueError):
            return 0, None

    async def run(self) -> list[Result]:
        """All connections at once."""
        return list(await asyncio.gather(*(self.one(number) for number in range(self.job["count"]))))


async def run(jobs: list[dict[str, Any]]) -> list[list[Result]]:
    """All jobs at once."""
    return list(await asyncio.gather(*(Visit(job).run() for job in jobs)))


if __name__ == "__main__":
    print("begun", flush=True)
    print(json.dumps(asyncio.run(run(json.loads(sys.argv[1])))))
