"""flake.nix and flake.lock: one input, locked; every attribute they name is one that nixpkgs is known to have."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAKE = (ROOT / "flake.nix").read_text(encoding="utf-8")
LOCK = json.loads((ROOT / "flake.lock").read_text(encoding="utf-8"))
LINUX = {"x86_64-linux", "aarch64-linux"}
SYSTEMS = LINUX | {"x86_64-darwin", "aarch64-darwin"}


def test_the_lock_pins_nixpkgs_completely() -> None:
    assert (LOCK["version"], LOCK["root"]) == (7, "root")
    locked = LOCK["nodes"]["nixpkgs"]["locked"]
    assert set(locked) == {"lastModified", "narHash", "owner", "repo", "rev", "type"}
    assert re.fullmatch(r"[0-9a-f]{40}", locked["rev"])
    algorithm, _, digest = locked["narHash"].partition("-")
    assert algorithm == "sha256"
    assert len(base64.b64decode(digest, validate=True)) == 32
    assert isinstance(locked["lastModified"], int)


def test_the_flake_names_only_the_input_that_is_locked() -> None:
    assert LOCK["nodes"]["root"]["inputs"] == {"nixpkgs": "nixpkgs"}
    assert set(LOCK["nodes"]) == {"nixpkgs", "root"}
    original = LOCK["nodes"]["nixpkgs"]["original"]
    url = f"{original['type']}:{original['owner']}/{original['repo']}/{original['ref']}"
    assert re.findall(r'inputs\.([a-z-]+)\.url = "([^"]+)"', FLAKE) == [("nixpkgs", url)]
    assert set(re.findall(r'"?((?:github|path|git|https?|tarball):[^"\s;]+)', FLAKE)) == {url}


@pytest.fixture(scope="module")
def nix(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = shutil.which("nix")
    if found:
        return found
    missing = "nix is not installed (Debian: apt-get install nix-bin)"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def evaluate(nix: str, directory: Path, output: str, flake: str = FLAKE) -> subprocess.CompletedProcess[str]:
    """What `nix eval` makes of an output of the flake with the stub as nixpkgs, in a store of its own, offline."""
    source = directory / "flake"
    source.mkdir()
    (source / "flake.nix").write_text(flake, encoding="utf-8")
    shutil.copy(ROOT / "flake.lock", source)
    stub = ROOT / "tests" / "build" / "nixpkgs"
    shutil.copytree(stub, directory / "nixpkgs")
    return subprocess.run(
        [
            *(nix, "--extra-experimental-features", "nix-command flakes", "--store", str(directory / "store")),
            *("eval", "--json", "--no-write-lock-file", "--override-input", "nixpkgs", f"path:{directory / 'nixpkgs'}"),
            f"path:{source}#{output}",
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(directory)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def value(answer: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert answer.returncode == 0, answer.stderr
    parsed: dict[str, Any] = json.loads(answer.stdout)
    return parsed


def test_the_shell_of_every_system_has_every_tool(nix: str, tmp_path: Path) -> None:
    shells = value(evaluate(nix, tmp_path, "devShells"))
    assert set(shells) == SYSTEMS
    for system, shell in shells.items():
        packages = shell["default"]["packages"]
        assert len(set(packages)) == len(packages)
        # bin/python takes the first python3 on PATH.
        assert packages.index("python313") < packages.index("python311")
        assert {"gnumake", "postgresql_17", "nginx", "docker-compose", "gettext"} <= set(packages)
        assert ({"uwsgi", "mmdebstrap"} <= set(packages)) == (system in LINUX)


def test_the_check_of_every_system_calls_every_tool(nix: str, tmp_path: Path) -> None:
    checks = value(evaluate(nix, tmp_path, "checks"))
    assert set(checks) == SYSTEMS
    for system, check in checks.items():
        calls = [line for line in check["tools"]["script"].splitlines() if not line.startswith("touch ")]
        assert len(calls) == len(check["tools"]["tools"])
        if system in LINUX:
            assert {"name": "uwsgi", "plugins": ["python3"], "python3": "python313"} in check["tools"]["tools"]


def test_an_attribute_that_nixpkgs_is_not_known_to_have_is_refused(nix: str, tmp_path: Path) -> None:
    answer = evaluate(nix, tmp_path, "devShells", FLAKE.replace("pkgs.jq\n", "pkgs.jqq\n"))
    assert answer.returncode != 0
    assert "attribute 'jqq' missing" in answer.stderr
