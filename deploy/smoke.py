"""Asks the site as a reader does, through the proxy, whether the release that is to serve does."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import time
from dataclasses import dataclass

STYLE = re.compile(rb'href="(/static/[^"]+\.css)"')


@dataclass(frozen=True)
class Site:
    """A site as it is reached from this machine: its name, and the address and port where nginx listens."""

    host: str
    address: str
    port: int

    def get(self, path: str, timeout: float = 10.0) -> tuple[int, bytes]:
        """GET `path` over TLS; the status and the body.

        Whose certificate it is does not matter here. Raises OSError or http.client.HTTPException.
        """
        # Without the authorities, which take 20 ms to read.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        plain = socket.create_connection((self.address, self.port), timeout=timeout)
        try:
            connection.sock = context.wrap_socket(plain, server_hostname=self.host)
            name = self.host if self.port == 443 else f"{self.host}:{self.port}"
            connection.request("GET", path, headers={"Host": name})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
            plain.close()

    def problem(self, release: str) -> str:
        """What is wrong with the site, seen from outside; empty when `release` answers, with its pages and files."""
        try:
            status, body = self.get("/readyz")
            if status != 200:
                return f"/readyz answered {status}: {body.decode(errors='replace')[:200]}"
            answers = str(json.loads(body).get("release"))
            if answers != release:
                return f"/readyz is answered by {answers}"
            status, body = self.get("/")
            if status != 200:
                return f"/ answered {status}"
            for style in STYLE.findall(body)[:1]:
                status, _ = self.get(style.decode())
                if status != 200:
                    return f"{style.decode()} answered {status}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"no answer through the proxy on port {self.port}: {error}"
        return ""

    def problem_lasting(self, release: str, seconds: float = 5.0) -> str:
        """The same, asked again for some seconds while something is wrong."""
        deadline = time.monotonic() + seconds
        while (found := self.problem(release)) and time.monotonic() < deadline:
            time.sleep(0.3)
        return found
