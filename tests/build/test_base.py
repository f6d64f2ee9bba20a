"""Where the base image comes from, and what is said when it can come from nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack.containers import RELEASE, build_images, docker
from tests.stack.local import ROOT, copy_checkout
from tests.stack.needs import needs_docker

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
    pinned = f"BASE_IMAGE=registry.invalid/debian:never@sha256:{'0' * 64}"
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


@pytest.mark.parametrize("script", ["bin/base", "bin/build"])
def test_without_registry_and_mmdebstrap_one_line_says_how_to_get_it(
    unpullable: Path, tmp_path: Path, script: str
) -> None:
    done = subprocess.run([script], cwd=unpullable, env=without_mmdebstrap(tmp_path), capture_output=True, text=True)
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


def test_an_unknown_option_is_one_line() -> None:
    done = subprocess.run(["bin/base", "--make-it-so"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "base: no such option: --make-it-so (there is --rebuild)\n")


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
