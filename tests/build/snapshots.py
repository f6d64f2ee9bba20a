"""A service of Debian snapshots, for the tests: it has one, which is the live archive."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Snapshots(http.server.BaseHTTPRequestHandler):
    """Has one snapshot, which is the live archive."""

    there = "20261005T000000Z"

    def do_GET(self) -> None:  # (the name is http.server's)
        found = re.fullmatch(rf"/archive/(debian[a-z-]*)/{self.there}/(.*)", self.path)
        self.send_response(302 if found else 404)
        if found:
            self.send_header("Location", f"http://deb.debian.org/{found[1]}/{found[2]}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is http.server's)
        pass


@contextmanager
def snapshots() -> Iterator[str]:
    """Serve one snapshot; the value for SNAPSHOT_URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Snapshots) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/archive"
        finally:
            server.shutdown()
            thread.join()
