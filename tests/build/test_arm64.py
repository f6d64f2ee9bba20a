"""What can be known of the images on arm64 without such a machine: nothing that builds them is for amd64 alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.local import ROOT
from tests.stack.needs import lacking

# Compiled while the image is built, on either architecture: the one file locked is its source.
COMPILED = "uwsgi"
AMD64 = re.compile(r"amd64|x86[_-]64|\bx64\b|i[3-6]86", re.IGNORECASE)
ARM64 = re.compile(r"arm64|aarch64", re.IGNORECASE)


def python_version() -> str:
    """The version of Python in the images."""
    found = re.search(r"^PYTHON_VERSION=(.+)$", (ROOT / "pins.env").read_text(), re.MULTILINE)
    assert found
    return found[1]


def blocks(layer: str) -> dict[str, str]:
    """The lines of each package in a lock, its hashes among them."""
    text = (ROOT / f"requirements/{layer}.txt").read_text()
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)(==.*\n(?:^ +.*\n?)*)", text, re.MULTILINE)
    assert len(found) == text.count("==")
    return {name: name + rest for name, rest in found}


@pytest.mark.parametrize("layer", ["web", "build", "debug"])
def test_every_package_has_a_locked_wheel(layer: str, tmp_path: Path) -> None:
    wanted = blocks(layer)
    if layer == "web":
        assert wanted.pop(COMPILED).count("--hash=sha256:") == 1
    lock = tmp_path / "lock.txt"
    lock.write_text("".join(wanted.values()))
    # Up to the glibc of Debian 13.
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(41, 16, -1)] + ["manylinux2014_aarch64"]
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--require-hashes"),
            *("--only-binary=:all:", "--target", str(tmp_path / "target"), "--implementation", "cp"),
            *("--python-version", python_version()),
            *(argument for platform in platforms for argument in ("--platform", platform)),
            *("-r", str(lock)),
        ],
        capture_output=True,
        text=True,
        timeout=280,
    )
    if re.search("NewConnectionError|NameResolution|ConnectTimeout|ReadTimeout|ProxyError", answer.stderr):
        lacking("no package index can be reached")
    assert answer.returncode == 0, answer.stderr


def builders() -> list[Path]:
    """What says how the images are built and run: Dockerfiles, scripts, compose files, pins."""
    services = [
        path
        for path in (ROOT / "services").glob("*/*")
        if path.is_file() and path.suffix in ("", ".cfg", ".conf", ".in", ".ini") and path.name != "manage.py"
    ]
    names = ("Makefile", "docker-bake.hcl", "pins.env", ".dockerignore")
    return [
        *services,
        *(ROOT / name for name in names),
        *(path for path in (ROOT / "bin").iterdir() if path.is_file()),
        *(ROOT / "compose").glob("*.yaml"),
    ]


def test_no_line_names_amd64_without_arm64() -> None:
    """A path of /usr/lib, the name of a package, a platform: what is for one architecture names it."""
    found = builders()
    assert {"Dockerfile", "apt-install", "build", "compose.yaml", "start"} <= {path.name for path in found}
    offences = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in found
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bool(AMD64.search(line)) != bool(ARM64.search(line))
    ]
    assert offences == []


def test_no_dockerfile_fixes_its_platform() -> None:
    dockerfiles = sorted((ROOT / "services").glob("*/Dockerfile"))
    assert len(dockerfiles) == 4
    assert [path for path in dockerfiles if "--platform" in path.read_text()] == []
    assert "platforms" not in (ROOT / "docker-bake.hcl").read_text()
