"""flake.nix and flake.lock: one input, locked; every attribute they name is one that nixpkgs is known to have.

nixpkgs itself is not at hand: tests/build/nixpkgs stands in for it, and refuses what is not on its list.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.build.nix_syntax import dead, misformatted
from tests.stack.local import CALLERS

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "tests" / "build" / "nixpkgs"
FLAKE = (ROOT / "flake.nix").read_text(encoding="utf-8")
LOCK = json.loads((ROOT / "flake.lock").read_text(encoding="utf-8"))
LINUX = {"x86_64-linux", "aarch64-linux"}
SYSTEMS = LINUX | {"x86_64-darwin", "aarch64-darwin"}
# What every C library has, under the names of glibc.
GLIBC = re.compile(r"(ld-linux.*|lib(c|m|dl|pthread|rt|resolv|util))\.so\.\d")


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


def test_nothing_unfree_insecure_or_overlaid_is_let_in() -> None:
    assert re.findall(r"\b(?:config|import|overlay\w*|allow\w+|permitted\w+|builtins|fetch\w+)\b", FLAKE) == []
    # The one way to packages: nixpkgs as it is, with the settings it has by itself.
    assert set(re.findall(r"\bnixpkgs\.\w+", FLAKE.split("outputs =")[1])) == {"nixpkgs.legacyPackages"}


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
    shutil.copytree(STUB, directory / "nixpkgs")
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


def test_the_flake_has_no_output_that_is_not_tested_here() -> None:
    outputs = FLAKE[FLAKE.index("    in\n    {\n") :]
    assert re.findall(r"(?m)^      ([a-z]\w*)\b", outputs) == ["devShells", "apps", "checks", "formatter"]


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
        assert ("SERVER_PROGRAM" in shell["default"]) == (system in LINUX)


def test_the_tools_of_every_system_are_called_and_the_majors_are_those_of_the_images(nix: str, tmp_path: Path) -> None:
    pins = (ROOT / "pins.env").read_text(encoding="utf-8")
    (python,) = re.findall(r"(?m)^PYTHON_VERSION=(.+)$", pins)
    (postgresql,) = re.findall(r"(?m)^postgresql-(\d+) ", (ROOT / "services/db/apt.in").read_text(encoding="utf-8"))
    (uwsgi,) = re.findall(r"(?m)^uWSGI==(\d+\.\d+\.)", (ROOT / "requirements/web.in").read_text(encoding="utf-8"))
    plugin = f"python{python.replace('.', '')}"

    checks = value(evaluate(nix, tmp_path, "checks"))
    assert set(checks) == SYSTEMS
    for system, check in checks.items():
        calls = [line for line in check["tools"]["script"].splitlines() if not line.startswith("touch ")]
        tools = check["tools"]["tools"]
        called = [call for call in calls if not call.startswith("uwsgi --plugin")]
        assert len(called) == len(tools)
        assert f"python3 --version | grep -F 'Python {python}.'" in calls
        assert f"postgres --version | grep -F '(PostgreSQL) {postgresql}.'" in calls
        assert {"name": f"postgresql_{postgresql}"} in tools
        if system in LINUX:
            assert f"uwsgi --version | grep -F '{uwsgi}'" in calls
            assert f"uwsgi --plugin python3 --python-version | grep -F '{python}.'" in calls
            assert {"name": "uwsgi", "plugins": ["python3"], "python3": plugin} in tools


def test_the_lint_of_every_system_has_what_bin_lint_calls(nix: str, tmp_path: Path) -> None:
    script = (ROOT / "bin" / "lint").read_text(encoding="utf-8")
    called = set(re.findall(r"\brun ([a-z-]+)", script)) | {"actionlint", "nixfmt", "deadnix", "statix"}
    for check in value(evaluate(nix, tmp_path, "checks")).values():
        assert {tool["name"] for tool in check["lint"]["tools"]} == called - {"mypy"}
        assert "\nbash checkout/bin/lint --system\n" in check["lint"]["script"]


def test_every_system_has_a_formatter(nix: str, tmp_path: Path) -> None:
    assert value(evaluate(nix, tmp_path, "formatter")) == dict.fromkeys(SYSTEMS, "/nixpkgs/nixfmt")


def test_the_app_names_every_server_with_variables_that_the_engine_reads(nix: str, tmp_path: Path) -> None:
    apps = value(evaluate(nix, tmp_path, "apps"))
    assert set(apps) == LINUX
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/configuration.md").read_text(encoding="utf-8")))
    for app in apps.values():
        assert app["default"] == app["dev"]
        assert app["dev"]["type"] == "app"
        environment = app["dev"]["program"]["runtimeEnv"]
        assert set(environment) <= documented
        assert {"NGINX_PROGRAM", "POSTGRES_BIN", "SERVER_PROGRAM", "VENV", "LOCAL_STATE"} <= set(environment)
        for name in ("VENV", "LOCAL_STATE"):
            ignored = subprocess.run(["git", "check-ignore", "--quiet", environment[name] + "/x"], cwd=ROOT)
            assert ignored.returncode == 0, f"{environment[name]} is not ignored by git"


@pytest.fixture
def dev(nix: str, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """The script of the app, and the variables it is given."""
    program = value(evaluate(nix, tmp_path, "apps"))["x86_64-linux"]["dev"]["program"]
    environment = {name: setting for name, setting in os.environ.items() if name not in CALLERS}
    return program["text"], environment | program["runtimeEnv"]


def test_the_app_runs_make_in_the_checkout_with_what_it_was_given(
    dev: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    text, environment = dev
    (tmp_path / "services/web").mkdir(parents=True)
    (tmp_path / "services/web/serve.py").touch()
    (tmp_path / "Makefile").write_text("dev:\n\t@echo $(ENGINE) $(PORT) $$SERVER_PROGRAM\n", encoding="utf-8")
    command = ["bash", "-euo", "pipefail", "-c", text, "slipway-dev", "PORT=9000"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "local 9000 /nixpkgs/uwsgi/bin/uwsgi\n", done.stderr


def test_the_app_outside_of_a_checkout_says_so_in_one_line(dev: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    text, environment = dev
    command = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    message = f"slipway-dev: {tmp_path} is not the top of a checkout of Slipway: go there first\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def needed(library: bytes) -> Iterator[str]:
    """The libraries that a compiled module is linked with (DT_NEEDED of the dynamic section; 64 bits, elf(5))."""
    (table,), (size, count) = struct.unpack_from("<Q", library, 32), struct.unpack_from("<HH", library, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", library, table + number * size) for number in range(count)]
    ((start, length),) = [(segment[2], segment[5]) for segment in segments if segment[0] == 2]
    entries = [struct.unpack_from("<QQ", library, start + offset) for offset in range(0, length, 16)]
    (strings,) = [value for tag, value in entries if tag == 5]
    # The address of the strings, as an offset in the file.
    (base,) = [s[2] + strings - s[3] for s in segments if s[0] == 1 and s[3] <= strings < s[3] + s[5]]
    for tag, value in entries:
        if tag == 1:
            yield library[base + value : library.index(b"\0", base + value)].decode()


def test_the_wheels_find_every_library_that_they_do_not_bring() -> None:
    """NixOS has no libraries where wheels look: the flake names the packages of these, and no other is needed."""
    lock = (ROOT / "requirements" / "native.txt").read_text(encoding="utf-8")
    brought, wanted = set(), set()
    for name in re.findall(r"(?m)^([a-z0-9-]+)==", lock):
        for file in importlib.metadata.files(name) or ():
            if ".so" in file.name:
                brought.add(file.name)
                wanted |= set(needed(Path(str(file.locate())).read_bytes()))
    foreign = {name for name in wanted - brought if not GLIBC.fullmatch(name)}
    packages = {"libgcc_s.so.1": "stdenv.cc.cc.lib", "libstdc++.so.6": "stdenv.cc.cc.lib", "libz.so.1": "zlib"}
    assert foreign == set(packages)
    (listed,) = re.findall(r"WHEEL_LIBRARIES = lib\.makeLibraryPath \[([^]]+)\]", FLAKE)
    assert set(listed.split()) == {f"pkgs.{package}" for package in packages.values()}


@pytest.mark.parametrize(
    ("there", "unknown", "message"),
    [
        ("pkgs.jq\n", "pkgs.jqq\n", "attribute 'jqq' missing"),
        ("lib.optionals ", "lib.optionalls ", "attribute 'optionalls' missing"),
        ("pkgs.stdenv.hostPlatform.isLinux [", "pkgs.stdenv.isLinux [", "attribute 'isLinux' missing"),
        ("python3 = pkgs.python313;", "python3 = pkgs.python313; x = 1;", "called with unexpected argument 'x'"),
    ],
)
def test_what_nixpkgs_is_not_known_to_have_is_refused(
    nix: str, tmp_path: Path, there: str, unknown: str, message: str
) -> None:
    assert there in FLAKE
    answer = evaluate(nix, tmp_path, "devShells", FLAKE.replace(there, unknown))
    assert answer.returncode != 0
    assert message in answer.stderr


def test_the_list_of_attributes_holds_only_what_the_flake_names() -> None:
    lines = (STUB / "attributes.txt").read_text(encoding="utf-8").splitlines()
    listed = [line.split()[0] for line in lines if not line.startswith("#")]
    assert listed == sorted(set(listed))
    assert set(listed) == set(re.findall(r"\bpkgs\.([\w-]+)", FLAKE)) - {
        "mkShellNoCC", "runCommand", "stdenv", "writeShellApplication",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["flake.nix", "tests/build/nixpkgs/flake.nix"])
def test_nothing_in_nix_is_unused_or_misformatted(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert dead(text) == []
    assert misformatted(text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("let\n  a = 1;\n  b = a;\nin\na\n", ["3: b"]),
        ("let\n  inherit (x) a b;\nin\nb\n", ["2: a"]),
        ("{ a, b }: a\n", ["1: b"]),
        ("{\n  a,\n  b,\n}:\na\n", ["3: b"]),
        ("{ a, ... }@all: a\n", ["1: all"]),
        ("a: b: b\n", ["1: a"]),
        ("_: { a = 1; }\n", []),
        ("{ a, b ? a }: b\n", []),
        ("let\n  a = 1;\nin\n{\n  inherit a;\n}\n", []),
        ('let\n  a = "x";\nin\n"${a}"\n', []),
        ("let\n  a = 1;\nin\n{\n  a = 2;\n}\n", ["2: a"]),
    ],
)
def test_what_is_unused_is_found(text: str, names: list[str]) -> None:
    assert dead(text) == names


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("{\n\ta = 1;\n}\n", ["2: a tab"]),
        ("{\n  a = 1; \n}\n", ["2: blanks at the end"]),
        ("{\n   a = 1;\n}\n", ["2: indented by 3 after 0"]),
        ("{\n    a = 1;\n}\n", ["2: indented by 4 after 0"]),
        ("{\n\n\n}\n", ["3: two empty lines"]),
        ("{ }", ["1: no newline at the end"]),
        ("# " + "x" * 119 + "\n{ }\n", ["1: 121 characters"]),
        ("# " + "x" * 118 + "\n" + "x" * 101 + "\n", ["2: 101 characters"]),
        ("{\n  a = ''\n     text\n  '';\n}\n", []),
        ("{\n  a = {\n    b = 1;\n  };\n}\n", []),
    ],
)
def test_what_is_misformatted_is_found(text: str, faults: list[str]) -> None:
    assert misformatted(text) == faults
