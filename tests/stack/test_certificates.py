"""Certificates: issued, renewed, refused, run out, replaced under load, and one's own. The authority is Pebble."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.containers import DockerStack, docker
from tests.stack.http import unverified
from tests.stack.local import copy_checkout, wait_for
from tests.stack.pebble import Pebble, make_pair, openssl

pytestmark = [pytest.mark.chaos, pytest.mark.docker, pytest.mark.timeout(900)]

NAME = "blog.slipway.test"
# Seconds. Two thirds of it are when a certificate is renewed.
LIFE = 30


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory, images: None, stack: DockerStack) -> Iterator[Pebble]:
    """The authority, at the address that containers know this machine by."""
    bridge = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]["Gateway"]
    with Pebble(tmp_path_factory.mktemp("pebble"), bridge, stack.http_port, LIFE).running() as authority:
        yield authority


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, images: None) -> Iterator[DockerStack]:
    """A stack that is not started yet, which looks every second whether a certificate is due."""
    stack = DockerStack(
        copy_checkout(tmp_path_factory.mktemp("stack")), "prod", DOMAIN=NAME, ACME_CHECK="1", ACME_RETRY="1",
        CERTIFICATE_POLL="0.5",
    )  # fmt: skip
    try:
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="module")
def issued(stack: DockerStack, pebble: Pebble) -> DockerStack:
    """The stack, started with the authority's address and its first certificate shown."""
    secrets = stack.checkout / ".secrets" / stack.project
    secrets.mkdir(parents=True, mode=0o700)
    (secrets / "acme_ca").write_text(pebble.authority.read_text())
    stack.environment |= {"EMAIL": "owner@slipway.test", "ACME_SERVER": pebble.directory}
    stack.start()
    wait_for(lambda: shows_trusted(stack, pebble), 60, "a certificate of the authority is shown")
    return stack


def handshake(stack: DockerStack, context: ssl.SSLContext) -> bytes:
    """The certificate that is shown, in DER. Raises OSError, of which SSLError is one."""
    with (
        socket.create_connection(("127.0.0.1", stack.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def shown(stack: DockerStack) -> str:
    """The certificate that is shown, in PEM."""
    return ssl.DER_cert_to_PEM_cert(handshake(stack, unverified()))


def shows_trusted(stack: DockerStack, pebble: Pebble) -> bool:
    """Whether a client that trusts the authority, and checks name and dates, is served."""
    try:
        handshake(stack, ssl.create_default_context(cadata=pebble.root()))
    except ssl.SSLError:
        return False
    return True


def cert(stack: DockerStack, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
    """`make cert`."""
    return stack.run("cert", check=check, **variables)


class Reader(threading.Thread):
    """Asks again and again, each time over a new connection, and keeps what failed."""

    def __init__(self, stack: DockerStack) -> None:
        super().__init__()
        self.stack, self.ended = stack, threading.Event()
        self.served, self.failures = 0, list[str]()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                with (
                    socket.create_connection(("127.0.0.1", self.stack.port), timeout=20) as plain,
                    unverified().wrap_socket(plain, server_hostname=NAME) as tls,
                ):
                    tls.sendall(f"GET /healthz HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
                    answer = tls.recv(12)
            except OSError as error:
                self.failures.append(repr(error))
                continue
            if answer == b"HTTP/1.1 200":
                self.served += 1
            else:
                self.failures.append(repr(answer))


def test_the_site_is_up_before_there_is_a_certificate_and_gets_one(issued: DockerStack, pebble: Pebble) -> None:
    assert f"made a self-signed certificate for DNS:{NAME}" in issued.logs()
    said = cert(issued).stdout
    assert f"names    DNS:{NAME}\n" in said
    assert "issuer   CN=Pebble Intermediate CA" in said or "issuer   CN = Pebble Intermediate CA" in said
    assert "origin   an authority's, renewed from " in said
    assert "hours left" in said


def test_a_challenge_is_answered_over_plain_http_and_nothing_else_of_the_volume(issued: DockerStack) -> None:
    client = type(issued.http)(f"http://127.0.0.1:{issued.http_port}")
    issued.execute(
        "acme", "bash", "-c", "cd /srv/certificates/challenges/.well-known/acme-challenge && echo key >token"
    )
    answer = client.get("/.well-known/acme-challenge/token", Host=NAME)
    assert (answer.status, answer.body) == (200, b"key\n")
    for path in ("..", "../../../current/privkey.pem", "%2e%2e/%2e%2e/%2e%2e/current/privkey.pem", "", "missing"):
        answer = client.get(f"/.well-known/acme-challenge/{path}", Host=NAME)
        assert answer.status in (308, 400, 403, 404), path
        assert b"PRIVATE" not in answer.body


def test_it_is_renewed_at_two_thirds_of_its_life_and_no_handshake_fails(issued: DockerStack, pebble: Pebble) -> None:
    first = shown(issued)
    reader = Reader(issued)
    reader.start()
    try:
        wait_for(lambda: shown(issued) != first, LIFE + 20, "another certificate is shown")
        second = shown(issued)
        cert(issued, RENEW="1")
        wait_for(lambda: shown(issued) != second, LIFE + 20, "a third certificate is shown")
    finally:
        reader.ended.set()
        reader.join()
    assert reader.failures == []
    assert reader.served > 50
    assert shows_trusted(issued, pebble)


def test_the_old_pairs_are_few(issued: DockerStack) -> None:
    assert len(issued.execute("proxy", "ls", "/srv/certificates/pairs").split()) <= 3


def test_a_refused_order_leaves_the_certificate_until_the_next_is_granted(issued: DockerStack, pebble: Pebble) -> None:
    pebble.point("")
    try:
        wait_for(lambda: "the order failed" in cert(issued).stdout, LIFE + 20, "the order fails")
        assert "resolve URL" in cert(issued).stdout
        wait_for(lambda: "ran out" in cert(issued).stdout, LIFE + 20, "the certificate runs out")
        # Its readers are warned, and served when they go on; a self-signed one would be no better.
        assert not shows_trusted(issued, pebble)
        assert "Pebble" in openssl_issuer(issued)
        issued.wait_for_health("acme", "unhealthy")
    finally:
        pebble.point("127.0.0.1")
    wait_for(lambda: shows_trusted(issued, pebble), 90, "a certificate of the authority is shown again")
    issued.wait_for_health("acme", "healthy")


def openssl_issuer(stack: DockerStack) -> str:
    """Who issued the certificate that is shown."""
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-issuer"], input=shown(stack), capture_output=True, text=True, check=True
    )
    return done.stdout


def ordered(stack: DockerStack) -> bool:
    """Whether no order is asked for or under way any more, and its certificate shown."""
    try:
        stack.execute("acme", "test", "!", "-e", "/srv/certificates/renew")
    except AssertionError:
        return False
    return "another one, still" not in cert(stack).stdout


def test_a_restart_in_the_life_of_a_certificate_orders_no_other(issued: DockerStack, pebble: Pebble) -> None:
    first = shown(issued)
    cert(issued, RENEW="1")
    wait_for(lambda: shown(issued) != first and ordered(issued), LIFE, "what was asked for is shown")
    before = shown(issued)
    docker("restart", issued.container("proxy"), issued.container("acme"))
    issued.wait_for_health("proxy", "healthy")
    assert shown(issued) == before


def test_ones_own_certificate_takes_its_place_and_can_be_given_up(
    issued: DockerStack, pebble: Pebble, tmp_path: Path
) -> None:
    chain, key = make_pair(tmp_path, "own", f"DNS:{NAME}")
    said = cert(issued, FULLCHAIN=str(chain), KEY=str(key)).stdout
    assert "origin   put there by hand" in said
    wait_for(lambda: shown(issued).strip() == chain.read_text().strip(), 10, "one's own certificate is shown")
    time.sleep(3)
    assert shown(issued).strip() == chain.read_text().strip()
    cert(issued, RENEW="1")
    wait_for(lambda: shows_trusted(issued, pebble), 60, "a certificate of the authority is shown again")


@pytest.mark.parametrize("fault", ["another key", "run out", "other names", "no certificate", "no key", "missing"])
def test_a_certificate_that_will_not_do_is_refused(issued: DockerStack, tmp_path: Path, fault: str) -> None:
    chain, key = make_pair(tmp_path, "own", f"DNS:{'other.test' if fault == 'other names' else NAME}")
    message = {
        "another key": "KEY is not the key of FULLCHAIN, or has a passphrase",
        "run out": "the certificate in FULLCHAIN ran out on 2020-01-02 00:00:00Z",
        "other names": f"the certificate in FULLCHAIN is for none of the site's names: {NAME}",
        "no certificate": "FULLCHAIN holds no certificate in PEM",
        "no key": "KEY is not the key of FULLCHAIN, or has a passphrase",
        "missing": f"{chain} cannot be read: name a file in PEM",
    }[fault]
    match fault:
        case "another key":
            key = make_pair(tmp_path, "another", f"DNS:{NAME}")[1]
        case "run out":
            request = tmp_path / "request"
            openssl("req", "-new", "-key", key, "-subj", "/CN=own", "-out", request)
            (tmp_path / "index").touch()
            (tmp_path / "ca.cnf").write_text(
                f"[ca]\ndefault_ca = d\n[d]\ndatabase = {tmp_path}/index\nnew_certs_dir = {tmp_path}\npolicy = p\n"
                "default_md = sha256\nrand_serial = yes\n[p]\ncommonName = supplied\n"
            )
            openssl(
                "ca", "-batch", "-config", tmp_path / "ca.cnf", "-in", request, "-out", chain, "-notext", "-selfsign",
                "-keyfile", key, "-startdate", "20200101000000Z", "-enddate", "20200102000000Z",
            )  # fmt: skip
        case "no certificate":
            chain.write_text("certificate\n")
        case "no key":
            key.write_text("key\n")
        case "missing":
            chain.unlink()
    before = shown(issued)
    done = cert(issued, check=False, FULLCHAIN=str(chain), KEY=str(key))
    assert done.returncode != 0
    assert done.stderr.strip().endswith(message)
    assert len(done.stderr.strip().splitlines()) == 1
    assert "origin   an authority's" in cert(issued).stdout
    assert shown(issued) == before or "Pebble" in openssl_issuer(issued)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"EMAIL": "nobody"}, "EMAIL=nobody is no e-mail address: it is the one that the authority writes to"),
        ({"EMAIL": "a@b.test", "DOMAIN": "localhost"}, "no authority certifies localhost"),
        ({"EMAIL": "a@b.test", "DOMAIN": "192.0.2.1"}, "no authority certifies 192.0.2.1"),
    ],
)
def test_an_order_that_nobody_could_grant_is_not_begun(
    stack: DockerStack, variables: dict[str, str], message: str
) -> None:
    done = stack.run("up", "prod", check=False, **variables, PROJECT=f"{stack.project}-x")
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_site_without_an_address_of_its_owner_orders_nothing(docker_prod: DockerStack) -> None:
    assert "acme" not in docker("ps", "--all", "--filter", f"label=com.docker.compose.project={docker_prod.project}",
                                "--format", "{{.Names}}")  # fmt: skip
    assert "made by this site itself: browsers warn" in cert(docker_prod).stdout
    done = cert(docker_prod, check=False, RENEW="1")
    assert done.stderr.strip().endswith("nobody orders certificates here: `make prod-up` with DOMAIN and EMAIL does")
