"""Debian's packages: what services/base/apt-install does with a lock that fits, that is old, and that is wrong."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.build.snapshots import snapshots
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


@functools.cache
def architecture() -> str:
    """What Debian calls this machine's architecture."""
    needs_docker()
    build_images()
    return in_base("dpkg --print-architecture").stdout.strip()


def install(tmp_path: Path, lines: list[str], section: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """What apt-install says and does with a lock of these lines; the versions installed come last."""
    lock = tmp_path / "apt.lock"
    section = section or f"probe {architecture()}"
    lock.write_text("\n".join(["# A lock", "[other amd64]", "nonsense 1", "", f"[{section}]", *lines, ""]))
    environment = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    return in_base(
        "apt-install probe probe && dpkg-query -W -f '=${Package} ${Version}\\n'",
        *environment, "--volume", f"{lock}:/run/apt.lock:ro",
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
    assert "1 packages of services/probe/apt.lock are not in the archive any more: run `make lock`" in done.stderr


@pytest.mark.parametrize("strict", ["0", "1"])
def test_a_tampered_hash_is_always_refused(tmp_path: Path, strict: str) -> None:
    name, version, arch, checksum = locked("netbase").split()
    done = install(tmp_path, [f"{name} {version} {arch} {checksum[::-1]}"], STRICT=strict)
    assert done.returncode == 1
    assert done.stderr == (
        f"apt-install: error: {name} {version} in the archive is not the package that services/probe/apt.lock locks "
        f"in [probe {architecture()}] (its SHA-256 differs): do not trust the archive, or run `make lock`\n"
    )


def test_the_section_of_another_architecture_is_not_taken(tmp_path: Path) -> None:
    done = install(tmp_path, [locked("netbase")], section="probe other")
    assert done.returncode == 1
    assert f"services/probe/apt.lock has no section [probe {architecture()}]" in done.stderr


def test_a_package_that_the_lock_does_not_list_is_refused(tmp_path: Path) -> None:
    done = install(tmp_path, [locked("libreadline8t64")])
    assert done.returncode == 1
    assert "does not list what apt installs (readline-common" in done.stderr


@pytest.mark.parametrize("line", ["netbase", "netbase 6.5 all", "netbase 6.5 all 1234", f"netbase 6.5 all {'x' * 64}"])
def test_a_malformed_line_is_refused(tmp_path: Path, line: str) -> None:
    locked("netbase")
    done = install(tmp_path, [line])
    assert done.returncode == 1
    assert done.stderr == (
        "apt-install: error: services/probe/apt.lock line 6 is not 'package version architecture sha256': "
        "run `make lock`\n"
    )


def test_a_section_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = install(tmp_path, [])
    assert done.returncode == 1
    assert f"services/probe/apt.lock has no section [probe {architecture()}], or nothing in it" in done.stderr


def test_an_archive_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    line = locked("netbase")
    lock = tmp_path / "apt.lock"
    lock.write_text(f"[probe {architecture()}]\n{line}\n")
    done = in_base("apt-install probe probe", "--volume", f"{lock}:/run/apt.lock:ro", "--network", "none")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "the packages of services/probe/apt.lock cannot be had, Debian's archive cannot be reached" in done.stderr


# --- the snapshot


def use_snapshot(url: str, sources: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """What `apt-install --snapshot` says with these sources, and the sources it leaves."""
    file = "/etc/apt/sources.list.d/debian.sources"
    script = (
        f"cat >{file} <<'END'\n{sources}END\n"
        f"status=0; apt-install --snapshot || status=$?; echo ===; cat {file}; exit $status"
    )
    done = in_base(script, "--network", "host", "--env", f"SNAPSHOT_URL={url}")
    said, _, left = done.stdout.partition("===\n")
    done.stdout = said
    return done, left


def test_the_snapshot_that_the_base_names_is_used_where_it_answers() -> None:
    locked("netbase")
    with snapshots() as url:
        done, sources = use_snapshot(url, OFFICIAL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"apt-install: packages come from {url}/debian/20261005T000000Z\n"
    assert f"URIs: {url}/debian/20261005T000000Z\n" in sources
    assert "deb.debian.org" not in sources


def test_the_live_archive_is_taken_and_said_where_no_snapshot_service_answers() -> None:
    locked("netbase")
    done, sources = use_snapshot("http://127.0.0.1:9/archive", OFFICIAL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "apt-install: packages come from Debian's live archive: 127.0.0.1:9 does not answer\n"
    assert sources == OFFICIAL


def test_a_snapshot_that_does_not_exist_is_refused() -> None:
    locked("netbase")
    with snapshots() as url:
        done, _ = use_snapshot(url, OFFICIAL.replace("20261005", "20261006"))
    assert done.returncode == 1
    assert done.stderr == (
        "apt-install: error: pins.env: there is no snapshot 20261006T000000Z "
        f"({url.removeprefix('http://')} answers 404): write the date of one that exists\n"
    )


# --- bin/apt-lock


def apt_lock(checkout: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run bin/apt-lock in a checkout."""
    return subprocess.run(
        ["bin/apt-lock", *options], cwd=checkout, env=os.environ | environment, capture_output=True, text=True
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, to be changed."""
    return copy_checkout(tmp_path)


def edit(file: Path, old: str, new: str, sealed: bool = False) -> int:
    """Replace what the expression `old` finds first in a file; the number of its line. `sealed`: with its checksum."""
    text = file.read_text(encoding="utf-8")
    found = re.search(old, text)
    assert found, old
    text = text[: found.start()] + found.expand(new) + text[found.end() :]
    if sealed:
        lines = text.splitlines(keepends=True)
        lines[2] = f"# content: sha256:{hashlib.sha256(''.join(lines[:2] + lines[3:]).encode()).hexdigest()}\n"
        text = "".join(lines)
    file.write_text(text, encoding="utf-8")
    return text[: found.start()].count("\n") + 1


def test_the_locks_match_what_is_asked_for() -> None:
    done = apt_lock(ROOT, "--check")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("services/proxy/apt.in", "openssl ", "openssl-provider-legacy "),
        ("services/proxy/apt.in", r"\[proxy\]", "[proxies]"),
        ("pins.env", "@sha256:....", "@sha256:0000"),
        ("pins.env", "T000000Z", "T060000Z"),
    ],
)
def test_a_lock_that_does_not_match_is_named(checkout: Path, file: str, old: str, new: str) -> None:
    edit(checkout / file, old, new)
    done = apt_lock(checkout, "--check")
    assert done.returncode == 1
    assert "services/proxy/apt.lock does not match services/proxy/apt.in and pins.env: run `make lock`" in done.stderr
    everything = ["services/base/apt.lock", "services/db/apt.lock", "services/proxy/apt.lock", "services/web/apt.lock"]
    named = [line.split()[0] for line in done.stderr.splitlines()]
    assert named == (everything if file == "pins.env" else ["services/proxy/apt.lock"])


MALFORMED = ' line {line}: "{text}" is not "package version architecture sha256"'


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("proxy", r"(?m)^nginx \S+ amd64 .*\n", "", " lacks nginx in [proxy amd64]"),
        ("proxy", r"(?m)^nginx \S+ arm64 .*\n", "", " lacks nginx in [proxy arm64]"),
        ("web", r"(?ms)^\[web arm64\]\n.*?(?=^\[)", "", " has no section [web arm64]"),
        ("proxy", r"(?m)^(nginx \S+) amd64", r"\1", MALFORMED),
        ("proxy", r"(?m)^(nginx \S+ amd64) \S+", r"\1 -", MALFORMED),
        ("proxy", r"(?m)^(nginx \S+ amd64 \S+).", r"\1", MALFORMED),
        ("base", r"(?m)^bash .*", "bash", MALFORMED),
        ("proxy", r"(?m)^\[proxy arm64\]$", "[proxy amd64]", " line {line}: [proxy amd64] stands there twice"),
    ],
)  # fmt: skip
def test_a_line_that_no_lock_has_or_that_it_lacks_is_named(
    checkout: Path, name: str, old: str, new: str, said: str, sealed: bool
) -> None:
    file = checkout / f"services/{name}/apt.lock"
    line = edit(file, old, new, sealed)
    text = file.read_text().splitlines()[line - 1]
    done = apt_lock(checkout, "--check")
    assert done.returncode == 1
    assert done.stderr == f"services/{name}/apt.lock{said.format(line=line, text=text)}: run `make lock`\n"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("proxy", r"(?m)^(nginx \S+ amd64) \S+", r"\g<1> " + "0" * 64),
        ("proxy", r"(?m)^(nginx) \S+", r"\1 0.1"),
        ("proxy", r"(?m)^nginx-common .*\n", ""),
        ("base", r"(?m)^bash .*\n", ""),
        ("base", "(?m)^# layer: amd64 sha256:....", "# layer: amd64 sha256:0000"),
    ],
)
def test_a_lock_that_was_edited_is_named(checkout: Path, name: str, old: str, new: str) -> None:
    edit(checkout / f"services/{name}/apt.lock", old, new)
    done = apt_lock(checkout, "--check")
    assert (done.returncode, done.stderr) == (1, f"services/{name}/apt.lock was edited by hand: run `make lock`\n")


def test_lock_check_names_every_lock_with_a_fault_of_either_kind(checkout: Path) -> None:
    (checkout / "services/base/apt.lock").unlink()
    edit(checkout / "services/db/apt.lock", r"(?m)^pgbackrest ", "pgbackrest-doc ")
    edit(checkout / "requirements/web.txt", "django==", "django>=")
    done = subprocess.run(["make", "lock-check"], cwd=checkout, capture_output=True, text=True)
    assert done.returncode != 0
    named = [line.split()[0] for line in done.stderr.splitlines() if not line.startswith("make")]
    assert named == ["requirements/web.txt", "services/base/apt.lock", "services/db/apt.lock"]


def test_a_comment_in_what_is_asked_for_makes_no_lock_stale(checkout: Path) -> None:
    with (checkout / "services/proxy/apt.in").open("a") as file:
        file.write("# one more word\n")
    assert apt_lock(checkout, "--check").returncode == 0


def test_both_architectures_are_locked_and_by_what_they_differ() -> None:
    text = (ROOT / "services/web/apt.lock").read_text()
    found: dict[str, dict[str, str]] = {}
    for section, lines in re.findall(r"(?ms)^\[([^]]+)\]\n(.*?)(?=^\[|\Z)", text):
        found[section] = {line.split()[0]: line for line in lines.splitlines() if line}
    for section in ("build", "web", "web-dev"):
        here, there = found[f"{section} amd64"], found[f"{section} arm64"]
        for name in here.keys() & there.keys():
            foreign = there[name].split()[2]
            assert foreign in ("arm64", "all")
            assert (here[name].split()[3] == there[name].split()[3]) == (foreign == "all"), name
    assert "gcc-14-aarch64-linux-gnu" in found["build arm64"]
    assert "gcc-14-x86-64-linux-gnu" not in found["build arm64"]


def test_the_hash_of_the_other_architecture_is_that_of_its_package() -> None:
    locked("netbase")
    other = "arm64" if architecture() == "amd64" else "amd64"
    text = (ROOT / "services/proxy/apt.lock").read_text()
    found = re.search(rf"(?ms)^\[proxy {other}\]\n.*?^libmnl0 (\S+) {other} (\S+)$", text)
    assert found
    done = in_base(
        f"dpkg --add-architecture {other}; apt-get update -qq; cd /tmp; "
        f"apt-get download -qq libmnl0:{other}={found[1]} 2>/dev/null && sha256sum libmnl0*.deb"
    )
    if done.returncode:
        lacking("the archive has moved on from the lock")
    assert done.stdout.split()[0] == found[2]


def test_outdated_lists_debian_packages_of_which_the_archive_has_another_version(checkout: Path) -> None:
    now = locked("netbase").split()[1]
    for name in ("web", "db"):
        file = checkout / f"services/{name}/apt.lock"
        file.write_text(re.sub(r"(?m)^netbase \S+", "netbase 0.1", file.read_text()))
    edit(checkout / "services/base/apt.lock", rf"(?m)^bash \S+ {architecture()}", f"was-there 1 {architecture()}")
    done = apt_lock(checkout, "--outdated")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["Debian", "package", "locked", "archive", "images"]
    assert ["netbase", "0.1", now, "db,web"] in rows
    assert ["was-there", "1", "gone", "base"] in rows


def test_outdated_without_docker_says_what_it_needs() -> None:
    done = apt_lock(ROOT, "--outdated", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == "Debian packages: a Docker daemon is needed, apt asks the archive in a container (`make doctor`)\n"
    )


def test_packages_that_cannot_be_resolved_leave_every_lock_as_it_was(checkout: Path) -> None:
    needs_docker()
    edit(checkout / "services/proxy/apt.in", "openssl ", "there-is-no-such-package ")
    kept = {path: path.read_bytes() for path in checkout.glob("services/*/apt.lock")}
    # What it does before is to make the base.
    edit(checkout / "bin/apt-lock", r"(?m)^  .*bin/base --rebuild .*\n", "")
    done = apt_lock(checkout, RELEASE=RELEASE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "apt-lock: nothing is changed, the packages could not be resolved: see above"
    assert "there-is-no-such-package" in done.stderr
    assert {path: path.read_bytes() for path in checkout.glob("services/*/apt.lock")} == kept
