"""Asks the site as a reader does, through the proxy, whether the release that is to serve does."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import time

STYLE = re.compile(rb'href="(/static/[^"]+\.css)"')


def get(host: str, port: int, path: str, timeout: float = 10.0) -> tuple[int, bytes]:
    """GET `path` of the site `host` over TLS from `port` of this machine; the status and the body.

    Whose certificate it is does not matter here. Raises OSError or http.client.HTTPException.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    plain = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    try:
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        connection.request("GET", path, headers={"Host": host if port == 443 else f"{host}:{port}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
        plain.close()


def problem(host: str, port: int, release: str) -> str:
    """What is wrong with the site, seen from outside; empty when `release` answers, with its pages and files."""
    try:
        status, body = get(host, port, "/readyz")
        if status != 200:
            return f"/readyz answered {status}: {body.decode(errors='replace')[:200]}"
        answers = str(json.loads(body).get("release"))
        if answers != release:
            return f"/readyz is answered by {answers}"
        status, body = get(host, port, "/")
        if status != 200:
            return f"/ answered {status}"
        for style in STYLE.findall(body)[:1]:
            status, _ = get(host, port, style.decode())
            if status != 200:
                return f"{style.decode()} answered {status}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer through the proxy on port {port}: {error}"
    return ""


def problem_lasting(host: str, port: int, release: str, seconds: float = 5.0) -> str:
    """The same, asked again for some seconds while something is wrong."""
    deadline = time.monotonic() + seconds
    while (found := problem(host, port, release)) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found
