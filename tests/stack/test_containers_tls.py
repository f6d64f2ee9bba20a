"""HTTPS out of the box: a certificate of its own, HTTP/2, and plain HTTP only as a signpost."""

from __future__ import annotations

import re
import socket
import ssl

import pytest

from tests.stack.containers import DockerStack
from tests.stack.http import Client, unverified

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

# RFC 9113, 3.4: what a client sends first, with an empty SETTINGS frame.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS = 4


def connection(
    stack: DockerStack,
    name: str | None = "localhost",
    protocols: list[str] | None = None,
    newest: ssl.TLSVersion | None = None,
) -> ssl.SSLSocket:
    """A TLS connection to the proxy that takes any certificate. Raises ssl.SSLError when it is refused."""
    context = unverified()
    if protocols:
        context.set_alpn_protocols(protocols)
    if newest:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
    plain = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
    return context.wrap_socket(plain, server_hostname=name)


def certificate(stack: DockerStack) -> str:
    """The certificate that the proxy shows, as text."""
    with connection(stack) as tls:
        shown = ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")
    # The library reads the fields only of certificates that it trusts: this one is its own authority.
    return stack.execute(
        "proxy", "openssl", "x509", "-noout", "-subject", "-issuer", "-ext", "subjectAltName", stdin=shown
    )


def test_http_2_is_negotiated_and_spoken(docker_prod: DockerStack) -> None:
    with connection(docker_prod, protocols=["h2", "http/1.1"]) as tls:
        assert tls.selected_alpn_protocol() == "h2"
        tls.sendall(PREFACE)
        frame = tls.recv(9)
    assert frame[3] == SETTINGS


def test_a_client_without_http_2_is_served(docker_prod: DockerStack) -> None:
    with connection(docker_prod, protocols=["http/1.1"]) as tls:
        assert tls.selected_alpn_protocol() == "http/1.1"
    assert docker_prod.http.get("/").status == 200


def test_the_certificate_is_for_the_sites_name_and_signed_by_itself(docker_prod: DockerStack) -> None:
    text = certificate(docker_prod)
    assert "subject=CN=localhost" in text
    assert "issuer=CN=localhost" in text
    assert "DNS:localhost" in text


def test_the_key_is_the_proxys_alone(docker_prod: DockerStack) -> None:
    said = docker_prod.execute(
        "proxy", "stat", "-c", "%a %u", "/srv/certificates", "/srv/certificates/current/privkey.pem"
    )
    assert said.split("\n")[:2] == ["700 10002", "600 10002"]


def test_a_restart_keeps_the_certificate(docker_prod: DockerStack) -> None:
    with connection(docker_prod) as tls:
        before = tls.getpeercert(binary_form=True)
    docker_prod.stop()
    docker_prod.start()
    with connection(docker_prod) as tls:
        assert tls.getpeercert(binary_form=True) == before


def test_the_newest_tls_is_used_and_what_is_broken_is_refused(docker_prod: DockerStack) -> None:
    with connection(docker_prod) as tls:
        assert tls.version() == "TLSv1.3"
    with connection(docker_prod, newest=ssl.TLSVersion.TLSv1_2) as tls:
        assert tls.version() == "TLSv1.2"
    with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises((ssl.SSLError, ConnectionError)):
        connection(docker_prod, newest=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("name", ["evil.example", None])
def test_the_handshake_is_refused_for_a_name_that_is_not_the_sites(docker_prod: DockerStack, name: str | None) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connection(docker_prod, name)


def test_plain_http_only_redirects(docker_prod: DockerStack) -> None:
    answer = Client(f"http://localhost:{docker_prod.http_port}").get("/some/page/?x=1")
    assert answer.status == 308
    assert answer.headers["Location"] == f"{docker_prod.url}/some/page/?x=1"


def test_browsers_are_told_to_stay_with_https(docker_prod: DockerStack) -> None:
    assert docker_prod.http.get("/").headers["Strict-Transport-Security"] == "max-age=63072000"


def test_cookies_are_for_https_only(docker_prod: DockerStack) -> None:
    cookies = docker_prod.http.get("/account/login/").headers.get_all("Set-Cookie") or []
    assert cookies
    assert all("; Secure" in cookie for cookie in cookies)


@pytest.mark.parametrize(("encoding", "magic"), [("br", None), ("gzip", b"\x1f\x8b")])
def test_static_files_leave_precompressed(docker_prod: DockerStack, encoding: str, magic: bytes | None) -> None:
    found = re.search(r'href="(/static/[^"]+\.css)"', docker_prod.http.get("/").text)
    assert found
    plain = docker_prod.http.get(found[1])
    answer = docker_prod.http.get(found[1], Accept_Encoding=encoding)
    assert answer.headers["Content-Encoding"] == encoding
    # nginx sends the length only of what it has as a file; what it compresses itself goes in chunks.
    assert int(answer.headers["Content-Length"]) == len(answer.body) < len(plain.body) / 2
    assert magic is None or answer.body.startswith(magic)
