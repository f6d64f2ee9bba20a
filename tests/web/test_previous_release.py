"""The code of the release before on the newest schema: both run at once while a deploy hands over.

The release before is what PREVIOUS names, else the last tag, else the commit before the last with a migration.
It runs its own tests on a database that today's code has migrated.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.database import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
# What readers and writers do, and not what a test says of the schema itself.
SUITE = ("tests/web/blog/test_pages.py", "tests/web/blog/test_desk.py", "tests/web/config/test_health.py")
# They count the statements, or take the newest migration for one that their code knows.
LEFT_OUT = "not queries and not test_readyz_names_a_migration"
MIGRATIONS = ":(glob)services/web/*/migrations/*.py"
# A plugin of pytest in the older tree: its database is migrated by today's code.
NEWEST_SCHEMA = """
import json, os, subprocess, sys
from django.core.management.commands import migrate
from django.db import connections

def by_the_newest_code(self, *arguments, **options):
    name = connections[options["database"]].settings_dict["NAME"]
    environment = {**json.loads(os.environ["NEWEST_ENVIRONMENT"]), **os.environ, "DATABASE_NAME": name}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=os.environ["NEWEST"], env=environment, check=True)

migrate.Command.handle = by_the_newest_code
"""


def git(*arguments: str) -> bytes | None:
    """What git printed; None when it cannot say."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    return done.stdout if done.returncode == 0 and done.stdout.strip() else None


def previous() -> str | None:
    """The commit of the release before; None without a history."""
    if named := os.environ.get("PREVIOUS"):
        return named
    if tag := git("describe", "--tags", "--abbrev=0", "HEAD^"):
        return tag.decode().strip()
    last = git("log", "-1", "--format=%H", "--", MIGRATIONS)
    found = git("rev-parse", "--verify", f"{last.decode().strip()}^") if last else None
    return found.decode().strip() if found else None


@pytest.mark.slow
def test_the_release_before_works_on_the_newest_schema(tmp_path: Path) -> None:
    commit = previous()
    archive = git("archive", commit) if commit else None
    if archive is None:
        pytest.skip("no history: neither a tag nor the commit before the last migration is here")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tmp_path, filter="data")
    (tmp_path / "newest_schema.py").write_text(NEWEST_SCHEMA)
    suite = [name for name in SUITE if (tmp_path / name).exists()]
    assert suite
    # Their own plugin sets the environment; nothing of this run's may stand in it.
    environment = {
        name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-k",
            LEFT_OUT,
            "-p",
            "no:cacheprovider",
            "-p",
            "newest_schema",
            *suite,
        ],
        cwd=tmp_path,
        env={
            **environment,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(tmp_path),
            "NEWEST": str(ROOT / "services/web"),
            "NEWEST_ENVIRONMENT": json.dumps(ENVIRONMENT),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{commit} on the newest schema:\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
    assert " passed" in done.stdout
