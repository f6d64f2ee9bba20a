"""What a test needs of the machine: without it the test is skipped with the reason, in CI it fails."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest


def lacking(reason: str) -> None:
    """Skip the calling test because of `reason`; with CI=true, where everything is there, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have it: {reason}", pytrace=False)
    pytest.skip(reason)


@functools.cache
def docker_answers() -> bool:
    """Whether a Docker daemon with Compose and Buildx answers."""
    if not shutil.which("docker"):
        return False
    commands = (["docker", "version"], ["docker", "compose", "version"], ["docker", "buildx", "version"])
    return all(subprocess.run(command, capture_output=True, timeout=20).returncode == 0 for command in commands)


def needs_docker() -> None:
    """Skip when no Docker daemon answers."""
    if not docker_answers():
        lacking("no Docker daemon with Compose and Buildx answers")


def chromium() -> str:
    """The path of a Chromium; skips when there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    lacking("no Chromium is installed: apt-get install chromium")
    raise AssertionError
