"""A circuit breaker: a database that does not answer takes no worker with it, and every request has its 503 at once.

libpq waits for an answer where no time-out of this process reaches it. A server that is frozen (a hung disk, a paused
machine) would hold one worker after the other until uWSGI kills it. So `wait` waits in libpq's place: when nothing
comes, it asks the server for a sign of life. Without one the statement fails and the circuit is open: requests are
answered with 503 by CircuitMiddleware, but for one now and then that looks whether the server is back.
"""

from __future__ import annotations

import logging
import mmap
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from psycopg2.extensions import POLL_OK, POLL_READ

from config.errors import unavailable

logger = logging.getLogger(__name__)

# Seconds. A statement may be slow: the server must only show that it lives.
PATIENCE = 1.0
# While the circuit is open already.
MOMENT = 0.1
SIGN_OF_LIFE = 2.0
# Between two looks at a server that gave none.
PAUSE = 1.0
# For one backend that hangs in a server that lives: longer than its statement_timeout (15 s), below harakiri (30 s).
SILENCE = 20.0
# The first thing a client may send: whether there is TLS (PostgreSQL's protocol, "SSLRequest"). Answered before any
# authentication, with one byte, and without a line in the log.
SSL_REQUEST = struct.pack("!ii", 8, 80877103)

# Shared by the workers that are forked from this process: when the circuit was opened, 0 while it is closed.
_opened = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")


def server() -> socket.socket:
    """A new connection to the database. Raises OSError."""
    database: dict[str, Any] = settings.DATABASES["default"]
    host, port = str(database["HOST"]), int(database["PORT"])
    if not host.startswith("/"):
        return socket.create_connection((host, port), SIGN_OF_LIFE)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(SIGN_OF_LIFE)
        connection.connect(f"{host}/.s.PGSQL.{port}")
    except OSError:
        connection.close()
        raise
    return connection


def answers() -> bool:
    """Whether the database shows a sign of life."""
    try:
        with closing(server()) as connection:
            connection.sendall(SSL_REQUEST)
            return len(connection.recv(1)) == 1
    except OSError:
        return False


def open_circuit() -> None:
    """From now on requests are refused."""
    if not _opened[0]:
        logger.error("the database does not answer: requests are refused until it does")
    _opened[0] = time.monotonic()


def is_closed() -> bool:
    """Whether a request may go on to the database. Once in PAUSE, who asks this of an open one looks at the server."""
    opened, now = _opened[0], time.monotonic()
    if not opened:
        return True
    if now < opened + PAUSE:
        return False
    # The other workers do not look meanwhile.
    _opened[0] = now + SIGN_OF_LIFE
    if not answers():
        _opened[0] = time.monotonic()
        return False
    _opened[0] = 0
    logger.warning("the database answers again")
    return True


def wait(connection: Any) -> None:
    """Wait until a psycopg2 connection has what it asked for (a wait callback of psycopg2).

    Raises psycopg2.OperationalError when the server gives no sign of life; the connection is closed then.
    """
    silent_since = time.monotonic()
    while (state := connection.poll()) != POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        while not poller.poll(1000 * (MOMENT if _opened[0] else PATIENCE)):
            if _opened[0] or not answers():
                open_circuit()
                raise psycopg2.OperationalError("the database does not answer")
            if time.monotonic() - silent_since > SILENCE:
                raise psycopg2.OperationalError(f"no answer from the database in {SILENCE:.0f} s")
        silent_since = time.monotonic()


def install() -> None:
    """Let psycopg2 wait with `wait` in this process and those forked from it. COPY does not work then."""
    psycopg2.extensions.set_wait_callback(wait)


class CircuitMiddleware:
    """Answers 503 while the circuit is open."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request) if is_closed() else unavailable(request)
