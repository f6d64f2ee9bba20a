"""Names what is in the source tree, so that an image built from it never takes the name of another one."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

# What images are made of.
MATERIAL = ("docker-bake.hcl", "pins.env", "requirements", "services")


def git(root: Path, *arguments: str) -> str | None:
    """What git printed; None without git or a repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def digest(root: Path) -> str:
    """A short hash of the files that images are made of."""
    total = hashlib.sha256()
    for top in MATERIAL:
        base = root / top
        for path in sorted(base.rglob("*")) if base.is_dir() else [base]:
            if path.is_file() and path.suffix not in (".pyc", ".mo") and "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                executable = bool(path.stat().st_mode & 0o100)
                total.update(f"{path.relative_to(root).as_posix()}\0{executable}\0{content}\n".encode())
    return total.hexdigest()[:12]


def tag(root: Path) -> str:
    """The tag of what is in `root`: the commit, with a hash after it when files of images are changed; else a hash."""
    commit = git(root, "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return f"tree-{digest(root)}"
    changed = git(root, "status", "--porcelain", "--", *MATERIAL)
    return commit if changed == "" else f"{commit}-{digest(root)}"
