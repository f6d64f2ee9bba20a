"""The search for known vulnerabilities: what it finds, what it leaves out, and that it calls nothing clean unseen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from images import locks, scan
from tests.stack.containers import RELEASE, build_images
from tests.stack.local import ROOT, copy_checkout, free_port
from tests.stack.needs import needs_docker

DIGEST = "a" * 64
Capture = pytest.CaptureFixture[str]


class Service:
    """A service in OSV's protocol that knows what `answers` says, and the tracker's feed at /feed."""

    def __init__(self) -> None:
        # What is answered for a package; None: what OSV says where it knows of nothing.
        self.answers: dict[str, Any] = {}
        self.status = 200
        self.raw: bytes | None = None
        self.asked: list[tuple[str, str]] = []
        self.feed = b""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert query["package"]["ecosystem"] == "PyPI"
                service.asked.append((query["package"]["name"], query["version"]))
                self.reply(json.dumps(service.answers.get(query["package"]["name"], {})).encode())

            def do_GET(self) -> None:
                self.reply(service.feed)

            def reply(self, body: bytes) -> None:
                body = body if service.raw is None else service.raw
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the parent)
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.url = f"{self.address}/v1/query"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.delenv("FAIL_ON", raising=False)
    running = Service()
    yield running
    running.server.shutdown()
    running.server.server_close()


def vulnerability(package: str, fixed: str | None, identifier: str = "PYSEC-2026-1", **more: Any) -> dict[str, Any]:
    """An entry of OSV: every version below `fixed` is affected."""
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {
        "schema_version": "1.6.0", "id": identifier, "aliases": ["CVE-2026-1111"], "summary": "A hole.",
        "affected": [affected], **more,
    }  # fmt: skip


def release(status: str, fixed: str = "", urgency: str = "not yet assigned") -> dict[str, Any]:
    """What the tracker says of a vulnerability in a suite."""
    told = {"status": status, "repositories": {"trixie": "3.5.1-1"}, "urgency": urgency}
    return told | ({"fixed_version": fixed} if fixed else {})


def entry(suite: str = "trixie", **releases: Any) -> dict[str, Any]:
    return {"scope": "remote", "description": "A hole.", "releases": {suite: release(**releases)}}


class Case:
    """A bill of materials of openssl, a lock of Django, a feed, and what the scan says of them."""

    def __init__(self, directory: Path, service: Service, capsys: Capture) -> None:
        self.directory, self.service, self.capsys = directory, service, capsys
        self.output = directory / "build/scan.json"
        self.ignore = directory / "scan-ignore"
        self.feed = directory / "feed.json"
        self.tracker: dict[str, Any] = {"openssl": {"CVE-2026-0001": entry(status="resolved", fixed="3.5.1-1")}}
        self.boms = [self.bom("web", "3.5.1-1"), self.bom("db", "3.5.1-1")]
        self.lock = directory / "web.txt"
        self.lock.write_text(f"Django==5.2.1 \\\n    --hash=sha256:{DIGEST}\n")

    def bom(self, image: str, version: str) -> Path:
        purl = f"pkg:deb/debian/libssl3t64@{version}%2Bb1?arch=amd64&distro=debian-13&upstream=openssl%40{version}"
        path = self.directory / f"{image}.cdx.json"
        path.write_text(json.dumps({"components": [{"purl": purl}, {"purl": "pkg:pypi/django@5.2.1"}]}))
        return path

    def run(self, **options: str) -> tuple[int, str, list[str]]:
        """The status, what was printed and the lines of what was complained of."""
        if not self.feed.exists():
            self.feed.write_text(json.dumps(self.tracker))
        given = {
            "suite": "trixie", "feed": str(self.feed), "python-feed": self.service.url, "ignore": str(self.ignore),
            "output": str(self.output), **options,
        }  # fmt: skip
        arguments = [part for name, value in given.items() for part in (f"--{name}", value)]
        status = scan.main([*arguments, "--sbom", *map(str, self.boms), "--lock", str(self.lock)])
        said = self.capsys.readouterr()
        assert (status != 2) == self.output.exists()
        return status, said.out, said.err.splitlines()

    def refused(self, **options: str) -> str:
        """The one line of what could not be looked at."""
        status, _, lines = self.run(**options)
        assert status == 2
        assert len(lines) == 1, lines
        assert lines[0].startswith("scan: ")
        return lines[0]

    def found(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.output.read_text())
        return loaded


@pytest.fixture
def case(tmp_path: Path, service: Service, capsys: Capture) -> Case:
    return Case(tmp_path, service, capsys)


def test_nothing_known_is_status_0_and_says_what_was_looked_at(case: Case) -> None:
    status, said, lines = case.run()
    assert (status, lines) == (0, [])
    assert "1 Debian sources: 0 vulnerabilities with a fix" in said
    assert "1 Python packages: 0 vulnerabilities with a fix" in said
    assert case.service.asked == [("django", "5.2.1")]
    assert case.found()["fixable"] == []


def test_a_locked_python_package_with_a_hole_is_named(case: Case) -> None:
    case.service.answers["django"] = {"vulns": [vulnerability("django", "5.2.9")]}
    status, said, lines = case.run()
    assert (status, lines) == (1, [])
    row = next(line for line in said.splitlines() if line.startswith("django"))
    assert row.split() == ["django", "5.2.1", "5.2.9", "CVE-2026-1111", "-", "web"]
    assert "1 Python packages: 1 vulnerabilities with a fix" in said
    (one,) = case.found()["fixable"]
    assert (one["package"], one["fixed"], one["kind"]) == ("django", "5.2.9", "Python")


def test_a_python_package_without_a_fix_is_listed_and_no_failure(case: Case) -> None:
    case.service.answers["django"] = {"vulns": [vulnerability("django", None)]}
    status, said, _ = case.run()
    assert status == 0
    assert "CVE-2026-1111" in said
    assert [one["id"] for one in case.found()["unfixed"]] == ["CVE-2026-1111"]


@pytest.mark.parametrize(
    ("version", "releases", "group"),
    [
        ("3.5.1-1", {"status": "resolved", "fixed": "3.5.1-1+deb13u1"}, "fixable"),
        ("3.5.1-1+deb13u1", {"status": "resolved", "fixed": "3.5.1-1+deb13u1"}, None),
        ("3.5.1-1+deb13u2", {"status": "resolved", "fixed": "3.5.1-1+deb13u1"}, None),
        # Debian's order: a tilde comes before the end, 10 after 9, an epoch before all.
        ("3.5.7-1~deb13u3", {"status": "resolved", "fixed": "3.5.7-1"}, "fixable"),
        ("3.5.7-1~deb13u9", {"status": "resolved", "fixed": "3.5.7-1~deb13u10"}, "fixable"),
        ("1:1.0-1", {"status": "resolved", "fixed": "3.5.7-1"}, None),
        ("3.5.1-1", {"status": "resolved", "fixed": "0"}, None),
        ("3.5.1-1", {"status": "open"}, "unfixed"),
        ("3.5.1-1", {"status": "undetermined"}, "unfixed"),
        ("3.5.1-1", {"status": "open", "urgency": "unimportant"}, "unimportant"),
        ("3.5.1-1", {"status": "resolved", "fixed": "3.5.2", "urgency": "unimportant"}, "fixable"),
    ],
)
def test_debian_versions_are_compared_with_the_fixed_one(
    version: str, releases: dict[str, str], group: str | None
) -> None:
    feed = {"openssl": {"CVE-2026-0001": entry(**releases)}}
    found = scan.debian_findings({("openssl", version): ["web"]}, feed, "trixie", Path("feed.json"))
    assert [one.group for one in found] == ([group] if group else [])


def test_what_is_unimportant_to_debian_is_recorded_and_not_printed(case: Case) -> None:
    case.tracker["openssl"]["CVE-2026-0002"] = entry(status="open", urgency="unimportant")
    status, said, _ = case.run()
    assert status == 0
    assert "CVE-2026-0002" not in said
    assert "1 unimportant" in said
    assert [one["id"] for one in case.found()["unimportant"]] == ["CVE-2026-0002"]


def test_a_debian_finding_names_the_images(case: Case) -> None:
    case.tracker = {"openssl": {"CVE-2026-0001": entry(status="resolved", fixed="3.5.2-1", urgency="high")}}
    row = next(line for line in case.run()[1].splitlines() if line.startswith("openssl"))
    assert row.split() == ["openssl", "3.5.1-1", "3.5.2-1", "CVE-2026-0001", "high", "web,", "db"]


def test_another_suite_is_another_matter(case: Case) -> None:
    case.tracker["openssl"]["CVE-2026-0002"] = entry("bookworm", status="open")
    assert case.run()[0] == 0
    assert case.found()["unfixed"] == []


def test_fail_on_any_counts_what_has_no_fix(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL_ON", "any")
    case.tracker["openssl"]["CVE-2026-0002"] = entry(status="open", urgency="unimportant")
    assert case.run()[0] == 0
    case.feed.unlink()
    case.tracker["openssl"]["CVE-2026-0003"] = entry(status="open")
    assert case.run()[0] == 1


def test_a_fail_on_of_another_name_is_refused(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL_ON", "critical")
    assert "FAIL_ON=critical" in case.refused()


# ------------------------------------------------------------------------------------------------- no database


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "is no feed"),
        ("{}", "is no feed"),
        ("[]", "is no feed"),
        ("<html>blocked</html>", "is no feed"),
        ('{"openssl": {"CVE-2026-0001": {"rel', "is no feed"),
        ('{"openssl": []}', "is no feed"),
        ('{"bash": {}}', "knows none of the 1 source packages"),
        ('{"openssl": {}}', "says nothing of trixie"),
        ('{"openssl": {"CVE-1": {"releases": {"sid": {"status": "open"}}}}}', "says nothing of trixie"),
        ('{"openssl": {"CVE-1": {"releases": {"trixie": {}}}}}', "CVE-1 is not as the tracker writes it"),
        ('{"openssl": {"CVE-1": {"releases": {"trixie": {"status": "resolved"}}}}}', "CVE-1 is not as the tracker"),
        ('{"openssl": {"CVE-1": {"releases": {"trixie": {"status": "fine"}}}}}', "CVE-1 is not as the tracker"),
        ('{"openssl": {"CVE-1": {"releases": []}}}', "CVE-1 is not as the tracker writes it"),
    ],
)
def test_a_feed_that_tells_nothing_is_not_a_clean_image(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "feed.json"
    path.write_text(content)
    with pytest.raises(scan.ScanError, match=named) as caught:
        scan.debian_findings({("openssl", "3.5.1-1"): ["web"]}, scan.read_feed(path), "trixie", path)
    assert str(path) in str(caught.value)
    assert "download" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_feed_is_one_line_and_status_2(case: Case) -> None:
    case.feed.write_text("")
    assert "is no feed" in case.refused()


def test_what_one_database_knows_is_still_told_and_the_other_is_not_called_clean(case: Case) -> None:
    case.feed.write_text("{}")
    case.service.answers["django"] = {"vulns": [vulnerability("django", "5.2.9")]}
    status, said, _ = case.run()
    assert status == 2
    assert "CVE-2026-1111" in said
    assert "Debian" not in said


def test_a_feed_that_is_not_there_is_named(case: Case) -> None:
    assert "DEBIAN_FEED=none.json is no file" in case.refused(feed="none.json")


def test_the_feed_is_downloaded_from_an_address(case: Case) -> None:
    case.tracker = {"openssl": {"CVE-2026-0001": entry(status="resolved", fixed="3.5.2-1")}}
    case.service.feed = json.dumps(case.tracker).encode()
    assert case.run(feed=f"{case.service.address}/feed")[0] == 1
    assert (case.output.parent / "debian-security.json").read_bytes() == case.service.feed


@pytest.mark.parametrize("fault", ["refused", "404"])
def test_a_feed_that_cannot_be_downloaded_is_one_line(case: Case, fault: str) -> None:
    if fault == "404":
        case.service.status = 404
    address = f"http://127.0.0.1:{free_port()}/feed" if fault == "refused" else f"{case.service.address}/feed"
    status, said, lines = case.run(feed=address)
    assert status == 2
    assert "Debian sources" not in said
    assert f"cannot be had from {address}" in lines[0]
    assert "make scan DEBIAN_FEED=path" in lines[0]
    assert not list(case.output.parent.glob("debian-security*"))


def test_a_feed_that_does_not_end_is_given_up(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "FEED_SECONDS", -1)
    case.service.feed = b"{" * 2**20
    assert "not complete after" in case.refused(feed=f"{case.service.address}/feed")


@pytest.mark.parametrize("fault", ["refused", "500", "html", "truncated", "schema"])
def test_a_python_service_that_does_not_answer_is_not_a_clean_lock(case: Case, fault: str) -> None:
    url = case.service.url
    match fault:
        case "refused":
            url = f"http://127.0.0.1:{free_port()}/v1/query"
        case "500":
            case.service.status = 500
        case "html":
            case.service.raw = b"<html>blocked</html>"
        case "truncated":
            case.service.raw = b'{"vulns": [{"id":'
        case "schema":
            case.service.answers["django"] = {"vulns": [vulnerability("django", "6", schema_version="2.0.0")]}
    status, said, lines = case.run(**{"python-feed": url})
    assert status == 2
    assert len(lines) == 1, lines
    assert url in lines[0]
    assert "Python packages" not in said


def test_an_answer_for_another_package_leaves_the_locked_one_unseen(case: Case) -> None:
    with pytest.raises(scan.ScanError, match="did not look at django"):
        scan.python_findings([], {"web": locks.python(case.lock)})


def test_a_lock_without_hashes_is_refused(case: Case) -> None:
    case.lock.write_text("Django==5.2.1\n")
    assert "web.txt line 1 is not one version with SHA-256 hashes" in case.refused()


@pytest.mark.parametrize("content", ["", "[]", '{"components": []}', '{"components": [{"purl": "openssl"}]}'])
def test_what_is_no_bill_of_materials_is_named(case: Case, content: str) -> None:
    case.boms[0].write_text(content)
    case.boms = case.boms[:1]
    assert "make sbom" in case.refused()


def test_an_old_result_does_not_outlive_a_failed_look(case: Case) -> None:
    assert case.run()[0] == 0
    case.feed.write_text("{}")
    case.refused()
    assert not case.output.exists()


# ------------------------------------------------------------------------------------------------- what is ignored


def day(offset: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=offset)).isoformat()


def test_an_ignored_vulnerability_does_not_count_and_is_still_recorded(case: Case) -> None:
    case.tracker = {"openssl": {"CVE-2026-0001": entry(status="resolved", fixed="3.5.2-1")}}
    case.ignore.write_text(f"# why\n\nCVE-2026-0001  openssl  {day(1)}  # the part is not used\n")
    status, said, _ = case.run()
    assert status == 0
    assert "0 vulnerabilities with a fix, 0 without, 0 unimportant, 1 ignored" in said
    assert [one["id"] for one in case.found()["ignored"]] == ["CVE-2026-0001"]


def test_an_ignored_vulnerability_is_ignored_of_its_package_alone(case: Case) -> None:
    case.tracker = {"openssl": {"CVE-2026-0001": entry(status="resolved", fixed="3.5.2-1")}}
    case.ignore.write_text(f"CVE-2026-0001  nginx  {day(1)}  # the part is not used\n")
    status, said, _ = case.run()
    assert status == 1
    assert "line 1: CVE-2026-0001 of nginx is not found any more: remove it" in said


def test_an_expired_line_is_refused(case: Case) -> None:
    case.ignore.write_text(f"# why\nCVE-2026-0001  openssl  {day(0)}  # the part is not used\n")
    line = case.refused()
    assert f"line 2: CVE-2026-0001 was ignored until {day(0)}" in line
    assert "renew or remove" in line


@pytest.mark.parametrize(
    "line", ["CVE-2026-0001", "CVE-2026-0001 openssl 2099-01-01", "CVE-2026-0001 openssl 2099-13-01 # no such month"]
)
def test_a_malformed_line_is_refused(case: Case, line: str) -> None:
    case.ignore.write_text(f"{line}\n")
    assert "line 1 is not 'id package YYYY-MM-DD # reason'" in case.refused()


def test_the_list_that_is_kept_here_is_in_order() -> None:
    assert scan.ignore_list(ROOT / "services/scan-ignore", datetime.now(UTC).date()) is not None


# ------------------------------------------------------------------------------------------------- the real images


def test_the_verb_looks_at_every_image_and_lock(service: Service, tmp_path: Path) -> None:
    """Through the script, because make turns every failure into status 2."""
    needs_docker()
    build_images()
    checkout = copy_checkout(tmp_path)
    feed = tmp_path / "feed.json"
    openssl = {
        "CVE-2026-0001": entry(status="resolved", fixed="99:1"),
        "CVE-2026-0002": entry(status="resolved", fixed="1.0"),
    }
    feed.write_text(json.dumps({"openssl": openssl}))
    environment = {
        **os.environ, "RELEASE": RELEASE, "VENV": sys.prefix, "DEBIAN_FEED": str(feed), "PYTHON_FEED_URL": service.url,
    }  # fmt: skip
    service.answers["django"] = {"vulns": [vulnerability("django", "99")]}
    service.answers["ruff"] = {"vulns": [vulnerability("ruff", "99", aliases=[])]}
    done = subprocess.run(["bin/scan"], cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads((checkout / "build/scan.json").read_text())
    assert {(one["package"], one["id"], one["where"]) for one in found["fixable"]} == {
        ("openssl", "CVE-2026-0001", "base, web, proxy, db"),
        ("django", "CVE-2026-1111", "web"),
        ("ruff", "PYSEC-2026-1", "dev.txt"),
    }
    # Every locked package was asked for, uWSGI of the image and the linters too.
    assert {"uwsgi", "pyuwsgi", "ruff", "django-debug-toolbar", "wheel"} <= {name for name, _ in service.asked}
    assert len(service.asked) > 100
