"""Where the base image comes from, and what is said when it can come from nowhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.build.snapshots import snapshots
from tests.stack.containers import RELEASE, build_images, docker
from tests.stack.local import ROOT, copy_checkout
from tests.stack.needs import lacking, needs_docker

# What the scripts call; mmdebstrap is not among it.
PROGRAMS = ("bash", "cut", "date", "dirname", "docker", "env", "head", "mkdir", "mktemp", "realpath", "sed", "timeout")
PINS = ("BASE_IMAGE", "DEBIAN_SUITE", "DEBIAN_SNAPSHOT", "PYTHON_VERSION")


@pytest.fixture
def unpullable(tmp_path: Path) -> Path:
    """A checkout whose base image no registry has and nobody has made yet."""
    needs_docker()
    copy = copy_checkout(tmp_path / "checkout")
    pins = copy / "pins.env"
    lines = pins.read_text().splitlines()
    pinned = f"BASE_IMAGE=registry.invalid/never:trixie-20261005-slim@sha256:{'0' * 64}"
    pins.write_text("\n".join(pinned if line.startswith("BASE_IMAGE=") else line for line in lines) + "\n")
    return copy


def without_mmdebstrap(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH holds what the scripts need and no mmdebstrap."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found, name
        (directory / name).symlink_to(found)
    return {**os.environ, "PATH": str(directory)}


@pytest.mark.parametrize("command", [["bin/base"], ["bin/build", "base"]])
def test_without_registry_and_mmdebstrap_one_line_says_how_to_get_it(
    unpullable: Path, tmp_path: Path, command: list[str]
) -> None:
    done = subprocess.run(command, cwd=unpullable, env=without_mmdebstrap(tmp_path), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert "mmdebstrap, which could make it, is missing: apt-get install mmdebstrap" in done.stderr


def test_the_base_that_is_there_is_taken_at_once_and_named() -> None:
    needs_docker()
    build_images()
    done = subprocess.run(["bin/base"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""
    assert docker("image", "inspect", "--format", "found", done.stdout.strip()).strip() == "found"


def pin(checkout: Path, **values: str) -> None:
    """Write values into a checkout's pins.env; an empty one takes the line away."""
    file = checkout / "pins.env"
    lines = [line for line in file.read_text().splitlines() if line.partition("=")[0] not in values]
    file.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in values.items() if value), ""]))


DIGEST = "@sha256:" + "a" * 64


@pytest.mark.parametrize("script", [["bin/base"], ["bin/build", "base"], ["bin/apt-lock", "--check"]])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"DEBIAN_SNAPSHOT": "2026-10-05"}, "DEBIAN_SNAPSHOT=2026-10-05 is not of the form 20261005T000000Z: mend it"),
        ({"DEBIAN_SNAPSHOT": "20261345T000000Z"}, "DEBIAN_SNAPSHOT=20261345T000000Z is no date: write that of"),
        (
            {"DEBIAN_SNAPSHOT": "20991005T000000Z", "BASE_IMAGE": f"debian:trixie-20991005-slim{DIGEST}"},
            "DEBIAN_SNAPSHOT=20991005T000000Z lies in the future: write the date of a snapshot that exists",
        ),
        ({"DEBIAN_SNAPSHOT": "20261006T000000Z"}, "is not the date in the tag of BASE_IMAGE=debian:trixie-20261005"),
        ({"DEBIAN_SNAPSHOT": ""}, "DEBIAN_SNAPSHOT= is not of the form 20261005T000000Z: mend it"),
        ({"BASE_IMAGE": "debian:trixie-20261005-slim"}, "BASE_IMAGE=debian:trixie-20261005-slim is not of the form"),
        ({"DEBIAN_SUITE": "trixie; true"}, "DEBIAN_SUITE=trixie; true is not of the form trixie: mend it"),
        ({"PYTHON_VERSION": "3"}, "PYTHON_VERSION=3 is not of the form 3.13: mend it"),
    ],
)  # fmt: skip
def test_a_pin_that_cannot_be_right_is_one_line(
    tmp_path: Path, values: dict[str, str], said: str, script: list[str]
) -> None:
    checkout = copy_checkout(tmp_path)
    pin(checkout, **values)
    done = subprocess.run(script, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("pins.env: ")
    assert said in done.stderr


def needs_mmdebstrap() -> None:
    """Skip where no base can be made."""
    if not shutil.which("mmdebstrap"):
        lacking("mmdebstrap is not installed")


def make_base(checkout: Path, target: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `bin/base --output`, which needs no Docker."""
    return subprocess.run(
        ["bin/base", "--output", str(target)],
        cwd=checkout,
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock", **environment},
        capture_output=True,
        text=True,
    )


def test_a_snapshot_that_does_not_exist_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    needs_mmdebstrap()
    checkout = copy_checkout(tmp_path / "checkout")
    pin(checkout, DEBIAN_SNAPSHOT="20261006T000000Z", BASE_IMAGE=f"debian:trixie-20261006-slim{DIGEST}")
    with snapshots() as url:
        done = make_base(checkout, tmp_path / "base", SNAPSHOT_URL=url)
    assert done.returncode == 1
    assert done.stderr == (
        "pins.env: there is no snapshot DEBIAN_SNAPSHOT=20261006T000000Z of trixie "
        f"({url.removeprefix('http://')} answers 404): write the date of one that exists\n"
    )
    assert not (tmp_path / "base").exists()


def test_two_runs_make_the_same_base_from_the_snapshot_and_drift_is_a_table(tmp_path: Path) -> None:
    needs_mmdebstrap()
    checkout = copy_checkout(tmp_path / "checkout")
    lock = checkout / "services/base/apt.lock"
    lock.write_text(re.sub(r"(?m)^bash \S+", "bash 0.1", lock.read_text()))
    with snapshots() as url, ThreadPoolExecutor() as pool:
        targets = [tmp_path / "one", tmp_path / "two"]
        done = list(pool.map(lambda target: make_base(checkout, target, SNAPSHOT_URL=url, STRICT="0"), targets))
    for target, run in zip(targets, done, strict=True):
        if "mmdebstrap failed" in run.stderr:
            lacking(f"Debian's archive cannot be reached: {run.stderr}")
        assert run.returncode == 0, run.stderr
        assert "from Debian's snapshot 20261005T000000Z" in run.stderr
        assert re.search(r"(?m)^base: drift: the base does not hold the packages of services/base/apt.lock", run.stderr)
        assert re.search(r"(?m)^base: drift: +bash +0\.1 +\d\S+$", run.stderr)
        manifest = json.loads((target / "index.json").read_text())["manifests"][0]["digest"]
        assert run.stdout == f"{manifest}\n"
        # What is at each name has that digest.
        for blob in (target / "blobs/sha256").iterdir():
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert done[0].stdout == done[1].stdout
    layer = json.loads((targets[0] / "manifest.json").read_text())[0]["Layers"][0]
    with tarfile.open(targets[0] / layer) as archive:
        sources = archive.extractfile("./etc/apt/sources.list.d/debian.sources")
        assert sources
        # Not the mirror's name: the base must not depend on where it was made.
        assert "# http://snapshot.debian.org/archive/debian/20261005T000000Z\n" in sources.read().decode()


def test_a_directory_that_holds_something_is_not_written_over(tmp_path: Path) -> None:
    needs_mmdebstrap()
    (tmp_path / "kept").touch()
    done = make_base(ROOT, tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"base: {tmp_path} is there and is no empty directory: name another\n"
    assert (tmp_path / "kept").exists()


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, str]:
    """A checkout whose lock says what the base at hand holds, and the digest of that base's files."""
    needs_docker()
    build_images()
    image = subprocess.run(["bin/base"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    if not image.startswith("slipway/"):
        pytest.skip("the base was pulled: its digest is pinned")
    checkout = copy_checkout(tmp_path)
    text = docker("run", "--rm", image, "dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture} -\n")
    architecture = docker("run", "--rm", image, "dpkg", "--print-architecture").strip()
    layer = docker("image", "inspect", "--format", "{{index .RootFS.Layers 0}}", image).strip()
    lock = checkout / "services/base/apt.lock"
    lock.write_text(f"# layer: {architecture} {layer} mmdebstrap 1 from a test\n\n[base {architecture}]\n{text}")
    return checkout, layer


def strict_base(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run bin/base with STRICT=1."""
    return subprocess.run(["bin/base"], cwd=checkout, env={**os.environ, "STRICT": "1"}, capture_output=True, text=True)


def test_strict_takes_the_recorded_base(recorded: tuple[Path, str]) -> None:
    done = strict_base(recorded[0])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        (r"(?m)^bash \S+", "bash 0.1", r"bash +0\.1 +\d\S+"),
        (r"(?m)^bash \S+.*\n", "", r"bash +- +\d\S+"),
        (r"(?m)^bash ", "more 1 all -\nbash ", r"more +1 +-"),
    ],
)
def test_strict_refuses_a_base_with_other_packages(recorded: tuple[Path, str], old: str, new: str, row: str) -> None:
    lock = recorded[0] / "services/base/apt.lock"
    lock.write_text(re.sub(old, new, lock.read_text()))
    done = strict_base(recorded[0])
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(rf"(?m)^base: refused: +{row}$", done.stderr), done.stderr
    assert done.stderr.endswith("base: STRICT=1 refuses this base: run `make lock`, or build without STRICT=1\n")


def test_strict_refuses_a_base_with_the_same_packages_and_other_files(recorded: tuple[Path, str]) -> None:
    checkout, layer = recorded
    lock = checkout / "services/base/apt.lock"
    lock.write_text(lock.read_text().replace(layer, "sha256:0000"))
    done = strict_base(checkout)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        "base: refused: the packages are those of services/base/apt.lock, but the files are not the same: "
        f"{layer} here, sha256:0000 (mmdebstrap 1 from a test) locked"
    )


def test_an_unknown_option_is_one_line() -> None:
    done = subprocess.run(["bin/base", "--make-it-so"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "base: no such option: --make-it-so (there are --rebuild and --output)\n",
    )


def test_a_ca_bundle_that_cannot_be_read_is_one_line() -> None:
    needs_docker()
    environment = {**os.environ, "CA_BUNDLE": "/nowhere.pem", "RELEASE": RELEASE}
    done = subprocess.run(["bin/build", "base"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "build: CA_BUNDLE=/nowhere.pem cannot be read: name a file of PEM certificates\n"


def test_the_base_is_pinned_by_date_and_digest() -> None:
    pins = dict(line.split("=", 1) for line in (ROOT / "pins.env").read_text().splitlines() if line[:1].isalpha())
    assert tuple(pins) == PINS
    image, _, digest = pins["BASE_IMAGE"].partition("@")
    assert image == f"debian:{pins['DEBIAN_SUITE']}-{pins['DEBIAN_SNAPSHOT'][:8]}-slim"
    assert len(digest) == len("sha256:") + 64


def test_no_dockerfile_pulls_a_frontend_or_names_a_base_of_its_own() -> None:
    for file in (ROOT / "services").glob("*/Dockerfile"):
        lines = file.read_text().splitlines()
        assert not any(line.startswith(("# syntax", "#syntax")) for line in lines), file
        stages = {line.split()[-1] for line in lines if line.startswith("FROM ") and " AS " in line}
        parents = {line.split()[1] for line in lines if line.startswith("FROM ")}
        assert parents <= stages | {"base", "${BASE_IMAGE}"}, file
