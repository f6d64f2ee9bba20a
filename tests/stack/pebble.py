"""An ACME authority for tests: Pebble, with a resolver that says where the site's names are."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stack.local import free_port, wait_for
from tests.stack.needs import lacking

PROGRAMS = ("pebble", "pebble-challtestsrv", "openssl")


def openssl(*arguments: str | Path) -> str:
    """Run openssl and return what it printed."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_pair(directory: Path, name: str, subject_alternative_name: str, *options: str) -> tuple[Path, Path]:
    """A certificate and its key, NAME.pem and NAME.key, signed by itself."""
    chain, key = directory / f"{name}.pem", directory / f"{name}.key"
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2",
        "-subj", f"/CN={name}", "-addext", f"subjectAltName={subject_alternative_name}", "-keyout", key, "-out", chain,
        *options,
    )  # fmt: skip
    return chain, key


class Pebble:
    """A running authority. `directory` is its address for containers, `authority` what it speaks HTTPS with."""

    def __init__(self, folder: Path, address: str, http_port: int, life: int) -> None:
        for program in PROGRAMS:
            if not shutil.which(program):
                lacking(f"{program} is not installed: apt-get install pebble openssl")
        self.folder, self.address = folder, address
        self.port, self.management, self.dns, self.control = (free_port() for _ in range(4))
        self.directory = f"https://{address}:{self.port}/dir"
        make_pair(folder, "authority", "DNS:authority.test", "-addext", "basicConstraints=critical,CA:TRUE")
        self.authority = folder / "authority.pem"
        request, key = folder / "pebble.csr", folder / "pebble.key"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-subj", "/CN=pebble",
                "-keyout", key, "-out", request)  # fmt: skip
        (folder / "names").write_text(f"subjectAltName=IP:{address},IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", folder / "authority.key", "-days", "2",
                "-CAcreateserial", "-extfile", folder / "names", "-out", folder / "pebble.pem")  # fmt: skip
        settings = {
            "listenAddress": f"{address}:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(folder / "pebble.pem"),
            "privateKey": str(key),
            "httpPort": http_port,
            "tlsPort": http_port,
            "domainBlocklist": ["refused.slipway.test"],
            "retryAfter": {"authz": 1, "order": 1},
            "certificateValidityPeriod": life,
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))

    @contextmanager
    def running(self) -> Iterator[Pebble]:
        """Run it and its resolver; both end with the context."""
        log = (self.folder / "pebble.log").open("w")
        # What else it would listen to, at ports that every run of it has in common. Older ones know no DNS over HTTPS.
        listening = ("-http01", "-https01", "-tlsalpn01", "-doh")
        known = subprocess.run(["pebble-challtestsrv", "-help"], capture_output=True, text=True).stderr
        resolver = subprocess.Popen(
            ["pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", f"127.0.0.1:{self.dns}",
             *(part for name in listening if f"  {name} " in known for part in (name, "")),
             "-management", f"127.0.0.1:{self.control}"],
            stdout=log, stderr=log,
        )  # fmt: skip
        authority = subprocess.Popen(
            ["pebble", "-config", str(self.folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{self.dns}"],
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(lambda: bool(self.root()), 20, "the authority answers")
            for process in (authority, resolver):
                assert process.poll() is None, f"it ended: {(self.folder / 'pebble.log').read_text()}"
            yield self
        finally:
            for process in (authority, resolver):
                process.terminate()
                process.wait(10)
            log.close()

    def root(self) -> str:
        """The certificate that it signs with at last, in PEM; empty while it does not answer."""
        context = ssl.create_default_context(cafile=str(self.authority))
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{self.management}/roots/0", context=context) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def point(self, address: str) -> None:
        """Let the resolver say that every name is at `address`, nowhere if that is empty."""
        body = json.dumps({"ip": address}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}/set-default-ipv4", body) as answer:
            assert answer.status == 200
