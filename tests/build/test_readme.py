"""The READMEs name every verb, and every folder of the checkout."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
# What every repository has.
COMMON = {"docs"}


@README
def test_every_verb_is_in_the_readme(name: str) -> None:
    verbs = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(verbs) > 20
    assert [verb for verb in verbs if f"| `make {verb}` |" not in text] == []


@README
def test_every_folder_is_in_the_readme(name: str) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    folders = {line.split("/")[0] for line in listed.splitlines() if "/" in line and not line.startswith(".")} - COMMON
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [folder for folder in sorted(folders) if f"\n{folder}/" not in text] == []
