"""Debian's packages: what services/base/apt-install does with a lock that fits, that is old, and that is wrong."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack.containers import RELEASE, build_images
from tests.stack.local import ROOT, copy_checkout
from tests.stack.needs import lacking, needs_docker

BASE = f"slipway/base:{RELEASE}"
# The official image's sources, whose comment names the snapshot that the image was made from.
OFFICIAL = """Types: deb
# http://snapshot.debian.org/archive/debian/20261005T000000Z
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def in_base(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root in the base image."""
    return subprocess.run(
        ["docker", "run", "--rm", "--interactive", *options, BASE, "bash", "-ec", script],
        capture_output=True,
        text=True,
    )


@functools.cache
def locked(package: str) -> str:
    """The line that a lock has for a package of today's archive. Skips where the archive cannot be reached."""
    needs_docker()
    build_images()
    done = in_base(f"apt-get update -qq && apt-cache show --no-all-versions {package}")
    if done.returncode:
        lacking("Debian's archive cannot be reached from a container")
    field = dict(re.findall(r"^(\w+): (.*)$", done.stdout, re.MULTILINE))
    return f"{package} {field['Version']} {field['Architecture']} {field['SHA256']}"


def install(tmp_path: Path, lines: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """What apt-install says and does with a lock of these lines; the versions installed come last."""
    lock = tmp_path / "apt.lock"
    lock.write_text("\n".join(["# A lock", "[other]", "nonsense 1", "", "[probe]", *lines, ""]))
    environment = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    return in_base(
        "apt-install /lock probe && dpkg-query -W -f '=${Package} ${Version}\\n'",
        *environment, "--volume", f"{lock}:/lock:ro",
    )  # fmt: skip


def test_what_the_lock_lists_is_installed_and_nothing_is_said(tmp_path: Path) -> None:
    line = locked("netbase")
    done = install(tmp_path, [line])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "=" + " ".join(line.split()[:2]) in done.stdout
    assert "apt-install:" not in done.stdout


def test_a_version_that_is_gone_is_drift_and_a_table_says_so(tmp_path: Path) -> None:
    name, version, architecture, checksum = locked("netbase").split()
    done = install(tmp_path, [f"{name} 0.1 {architecture} {checksum}"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"apt-install: drift: +{name} +0\.1 +{re.escape(version)}\n", done.stdout)
    assert f"={name} {version}" in done.stdout


def test_strict_refuses_drift(tmp_path: Path) -> None:
    name, version, architecture, checksum = locked("netbase").split()
    done = install(tmp_path, [f"{name} 0.1 {architecture} {checksum}"], STRICT="1")
    assert done.returncode == 1
    assert re.search(rf"{name} +0\.1 +{re.escape(version)}\n", done.stdout)
    assert "1 packages of /lock are not in the archive any more: run `make lock`" in done.stderr


@pytest.mark.parametrize("strict", ["0", "1"])
def test_a_tampered_hash_is_always_refused(tmp_path: Path, strict: str) -> None:
    name, version, architecture, checksum = locked("netbase").split()
    done = install(tmp_path, [f"{name} {version} {architecture} {checksum[::-1]}"], STRICT=strict)
    assert done.returncode == 1
    assert f"{name} {version} in the archive is not the package that /lock locks" in done.stderr


def test_a_hash_of_another_architecture_is_not_compared(tmp_path: Path) -> None:
    name, version, _, checksum = locked("netbase").split()
    done = install(tmp_path, [f"{name} {version} other {checksum[::-1]}"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"={name} {version}" in done.stdout
    assert "apt-install:" not in done.stdout


def test_a_package_that_the_lock_does_not_list_is_refused(tmp_path: Path) -> None:
    done = install(tmp_path, [locked("libreadline8t64")])
    assert done.returncode == 1
    assert "does not list what apt installs (readline-common" in done.stderr


@pytest.mark.parametrize("line", ["netbase", "netbase 6.5 all", "netbase 6.5 all 1234"])
def test_a_malformed_line_is_refused(tmp_path: Path, line: str) -> None:
    locked("netbase")
    done = install(tmp_path, [line])
    assert done.returncode == 1
    assert "has a line that is not 'package version architecture sha256'" in done.stderr


def test_a_section_that_is_not_there_is_refused(tmp_path: Path) -> None:
    locked("netbase")
    done = install(tmp_path, [])
    assert done.returncode == 1
    assert "/lock has no section [probe]: run `make lock`" in done.stderr


def test_the_snapshot_is_used_where_it_answers_and_the_live_archive_said_where_not() -> None:
    locked("netbase")
    sources = "/etc/apt/sources.list.d/debian.sources"
    script = f"cat >{sources} <<'END'\n{OFFICIAL}END\napt-install --snapshot; cat {sources}"
    said, _, sources = in_base(script).stdout.partition("\n")
    if "http://snapshot.debian.org/archive/debian/20261005T000000Z" in said:
        assert "URIs: http://snapshot.debian.org/archive/debian/20261005T000000Z" in sources
        assert "deb.debian.org" not in sources
    else:
        assert said == "apt-install: packages come from Debian's live archive: snapshot.debian.org does not answer"
        assert sources == OFFICIAL


def test_the_locks_match_what_is_asked_for() -> None:
    done = subprocess.run(["bin/apt-lock", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("services/proxy/apt.in", "openssl ", "openssl-provider-legacy "),
        ("services/proxy/apt.in", "[proxy]", "[proxies]"),
        ("pins.env", "trixie-2026", "trixie-2027"),
    ],
)
def test_a_lock_that_does_not_match_is_named(tmp_path: Path, file: str, old: str, new: str) -> None:
    copy = copy_checkout(tmp_path)
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    done = subprocess.run(["bin/apt-lock", "--check"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 1
    assert "services/proxy/apt.lock does not match services/proxy/apt.in and pins.env: run `make lock`" in done.stderr


def test_a_comment_in_what_is_asked_for_makes_no_lock_stale(tmp_path: Path) -> None:
    copy = copy_checkout(tmp_path)
    with (copy / "services/proxy/apt.in").open("a") as file:
        file.write("# one more word\n")
    assert subprocess.run(["bin/apt-lock", "--check"], cwd=copy).returncode == 0
    shutil.rmtree(copy)
