"""What the developer has set for the stack of their own stays out of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack.local import CALLERS, ROOT, LocalStack


@pytest.mark.parametrize("name", sorted(CALLERS))
def test_a_stack_of_the_tests_takes_nothing_from_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "the developer's")
    assert LocalStack(tmp_path, "dev").environment.get(name) != "the developer's"
    assert LocalStack(tmp_path, "dev", None, **{name: "the test's"}).environment[name] == "the test's"


@pytest.mark.parametrize("script", ["bin/test", "bin/bench"])
def test_the_verbs_that_measure_and_test_drop_it(tmp_path: Path, script: str) -> None:
    programs = {"bin/venv": "#!/bin/sh\n", "bin/python": "#!/bin/sh\nenv\n"}
    (tmp_path / "bin").mkdir()
    for program, text in programs.items():
        (tmp_path / program).write_text(text)
        (tmp_path / program).chmod(0o755)
    shutil.copy(ROOT / script, tmp_path / "bin")
    environment = {"PATH": os.environ["PATH"], "VENV": str(tmp_path), **dict.fromkeys(CALLERS, "the developer's")}
    done = subprocess.run([tmp_path / script], env=environment, check=True, capture_output=True, text=True)
    left = [line.split("=")[0] for line in done.stdout.splitlines() if line.endswith("=the developer's")]
    assert left == []
