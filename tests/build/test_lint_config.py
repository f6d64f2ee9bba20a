"""bin/lint: every linter finds the fault it is there for, and pre-commit and CI run the same ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ("pyproject.toml", ".editorconfig", ".hadolint.yaml", ".shellcheckrc")

PINNED = "actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd"
WORKFLOW = f"""\
name: x
on: push
permissions: {{}}
concurrency:
  group: x
  cancel-in-progress: true
jobs:
  x:
    name: x
    runs-on: ubuntu-24.04
    steps:
      - uses: {PINNED} # v6.0.2
        with:
          persist-credentials: false
"""
DOCKERFILE = 'FROM debian:13\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]\nRUN echo x | cat\n'

# The linter, the file, what it holds when it is sound, what is replaced in it, and what the linter then says.
FAULTS = [
    ("ruff", "local/x.py", '"""A module."""\n\nx = 1\n', ("x = 1", "import os"), "F401"),
    ("ruff", "bin/x", '#!/usr/bin/env python3\n"""A script."""\n\nx = 1\n', ("x = 1", "eval(input())"), "S307"),
    ("ruff-format", "local/x.py", '"""A module."""\n\nx = 1\n', ("x = 1", "x  =  1"), "+x = 1"),
    ("djlint", "services/web/x/templates/x.html", '<button type="button">x</button>\n', (' type="button"', ""), "H043"),
    ("hadolint", "services/x/Dockerfile", DOCKERFILE, ("debian:13", "debian:latest"), "DL3007"),
    ("shellcheck", "services/x/start", '#!/bin/sh\necho "$1"\n', ('"$1"', "$1"), "SC2086"),
    ("shellcheck", "bin/x", "#!/usr/bin/env bash\nif [[ $1 ]]; then echo x; fi\n", ("bash", "sh"), "SC3010"),
    ("shfmt", "bin/x", "#!/bin/sh\nif true; then\n  echo x\nfi\n", ("  echo", "        echo"), "+  echo x"),
    ("workflows", ".github/workflows/x.yml", WORKFLOW, ("runs-on", "runs_on"), "runs_on"),
    ("workflows", ".github/workflows/x.yml", WORKFLOW, (PINNED, "actions/checkout@v6"), "unpinned"),
    ("workflows", ".github/workflows/x.yml", WORKFLOW, ("{}", "write-all"), "excessive-permissions"),
    ("paths", "docs/x.md", "See ~/x/.\n", ("~/", "/home/" + "somebody/"), "docs/x.md:1:"),
    ("paths", "docs/x.md", "See ~/x/.\n", ("~", "/" + "root"), "docs/x.md:1:"),
    ("locks", "requirements/x.in", "", ("", "polib # x\n"), "requirements/x.txt is missing"),
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """An empty checkout with the linters and their configuration."""
    root = tmp_path / "a checkout"
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "requirements").mkdir()
    for name in CONFIGURATION:
        shutil.copy(ROOT / name, root)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(root)], check=True)
    return root


def lint(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the bin/lint of a checkout with the tools of the environment that runs the tests."""
    return subprocess.run(
        ["bin/lint", *arguments],
        cwd=checkout,
        env=os.environ | {"VENV": sys.prefix} | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@pytest.mark.parametrize(("tool", "name", "sound", "fault", "message"), FAULTS, ids=lambda value: str(value)[:20])
def test_a_linter_finds_its_fault(
    checkout: Path, tool: str, name: str, sound: str, fault: tuple[str, str], message: str
) -> None:
    path = checkout / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if tool != "locks":
        path.write_text(sound, encoding="utf-8")
        answer = lint(checkout, "--tool", tool, name)
        assert answer.returncode == 0, answer.stdout
        assert re.match(rf"{tool} +[0-9.]+ s  ok\n", answer.stdout)

    path.write_text(sound.replace(*fault) if sound else fault[1], encoding="utf-8")
    answer = lint(checkout, "--tool", tool, name)
    assert answer.returncode == 1
    assert re.match(rf"{tool} +[0-9.]+ s  FAILED\n", answer.stdout)
    assert message in answer.stdout
    assert answer.stderr.startswith(f"lint: 0 passed, 1 failed: {tool} ")


def test_what_reads_nix_finds_its_fault_where_it_is_installed(checkout: Path) -> None:
    (checkout / "x.nix").write_text("{ a = 1 }\n", encoding="utf-8")
    answer = lint(checkout, "--tool", "nix")
    if shutil.which("nix-instantiate") or os.environ.get("CI") == "true":
        assert answer.returncode == 1
        assert "syntax error" in answer.stdout
    else:
        # What nobody looked at is not called sound.
        assert (answer.returncode, answer.stdout) == (0, "")


def test_with_the_tools_of_the_system_it_needs_neither_environment_nor_git(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".git")
    # The scripts read the one, and compare the others with it.
    for file in (ROOT / "pins.env", *ROOT.glob("requirements/*.*"), *ROOT.glob("services/*/apt.*")):
        target = checkout / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    (checkout / "local").mkdir()
    (checkout / "local" / "x.py").write_text('"""A module."""\n\nimport os\n', encoding="utf-8")
    nothing = {"VENV": str(tmp_path / "nothing")}

    answer = lint(checkout, "--system", PATH=f"{sys.prefix}/bin:{os.environ['PATH']}", **nothing)
    ran = {
        line.split()[0]: line.split()[3] for line in answer.stdout.splitlines() if re.match(r"[a-z-]+ +[0-9.]+ s", line)
    }
    assert ran == {"ruff": "FAILED", "ruff-format": "ok", "shellcheck": "ok", "shfmt": "ok", "locks": "ok", "paths": "ok"}
    assert "F401" in answer.stdout

    answer = lint(checkout, "--system", PATH="/usr/bin:/bin", **nothing)
    assert answer.returncode == 1
    assert "lint: ruff is not on PATH" in answer.stdout


def test_mypy_wants_types_everywhere(checkout: Path) -> None:
    settings = checkout / "services" / "web" / "config" / "settings.py"
    settings.parent.mkdir(parents=True)
    settings.write_text('"""Settings."""\n\nSECRET_KEY = "x"\n', encoding="utf-8")
    for folder in ("backup", "deploy", "images", "local", "services/web/blog", "tests", "watch"):
        (checkout / folder).mkdir()
        (checkout / folder / "x.py").write_text('"""A module."""\n\n\ndef f(x):\n    return x\n', encoding="utf-8")
    answer = lint(checkout, "--tool", "mypy")
    assert answer.returncode == 1
    assert {line.split(":")[0].strip() for line in answer.stdout.splitlines() if "[no-untyped-def]" in line} == {
        "backup/x.py",
        "deploy/x.py",
        "images/x.py",
        "local/x.py",
        "services/web/blog/x.py",
        "tests/x.py",
        "watch/x.py",
    }


def test_without_names_it_lints_what_git_tracks_or_would_track(checkout: Path) -> None:
    (checkout / ".gitignore").write_text("/ignored\n", encoding="utf-8")
    for name in ("ignored", "new"):
        (checkout / name).write_text("/home/" + "somebody/\n", encoding="utf-8")
    answer = lint(checkout, "--tool", "paths")
    assert answer.returncode == 1
    assert [line.split(":")[0].strip() for line in answer.stdout.splitlines()[1:-1]] == ["new"]


def test_a_file_that_is_not_there_is_named(checkout: Path) -> None:
    answer = lint(checkout, "local/missing.py")
    assert answer.returncode == 2
    assert answer.stderr == "lint: local/missing.py: no such file (name it from the top of the checkout)\n"


def test_missing_tools_are_one_line(checkout: Path) -> None:
    answer = lint(checkout, VENV=str(checkout / "nothing"))
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr == f"lint: {checkout / 'nothing'} is not there or not finished: run `bin/venv dev`\n"


def test_fmt_mends_what_lint_found(checkout: Path) -> None:
    (checkout / "local").mkdir()
    (checkout / "local" / "x.py").write_text('"""A module."""\nimport os\nx  = [ 1 ]\n', encoding="utf-8")
    (checkout / "bin" / "x").write_text("#!/bin/sh\nif true\nthen echo x; fi\n", encoding="utf-8")
    formatted = subprocess.run(
        ["bin/fmt", "local/x.py", "bin/x"],
        cwd=checkout,
        env=os.environ | {"VENV": sys.prefix},
        capture_output=True,
        text=True,
    )
    assert formatted.returncode == 0, formatted.stderr
    assert (checkout / "local" / "x.py").read_text(encoding="utf-8") == '"""A module."""\n\nx = [1]\n'
    for tool in ("ruff", "ruff-format", "shellcheck", "shfmt"):
        assert lint(checkout, "--tool", tool, "local/x.py", "bin/x").returncode == 0


def hooks() -> list[dict[str, Any]]:
    """The hooks of .pre-commit-config.yaml."""
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in configuration["repos"]] == ["local"]
    return list(configuration["repos"][0]["hooks"])


def test_pre_commit_runs_every_linter_and_downloads_nothing() -> None:
    listed = re.search(r'^readonly TOOLS="(.+)"$', (ROOT / "bin" / "lint").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed
    assert [hook["id"] for hook in hooks()] == listed[1].split()
    for hook in hooks():
        assert hook["language"] == "system"
        assert hook["entry"] == f"bin/lint --tool {hook['id']}"


def test_ci_runs_what_everyone_can_run_with_the_least_permission() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert any(".ci/run" in step.get("run", "") for step in job["steps"])
        for step in job["steps"]:
            assert re.search(r"@[0-9a-f]{40}$", step.get("uses", "@" + "0" * 40))


def test_the_tests_treat_warnings_as_errors(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getini("filterwarnings") == ["error"]
    assert pytestconfig.getini("xfail_strict") is True
