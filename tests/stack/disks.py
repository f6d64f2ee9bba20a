"""Small disks for the scenarios in which one is full: tmpfs of a size that can be changed while it is in use."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.stack.needs import lacking


class Disk:
    """A tmpfs mounted at `path`, of `megabytes` when there is room on it."""

    def __init__(self, path: Path, megabytes: int) -> None:
        self.path, self.megabytes = path, megabytes
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "slipway-test", str(path)], check=True
        )

    def used(self) -> int:
        """Bytes in use."""
        found = os.statvfs(self.path)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def resize(self, size: int) -> None:
        """Make the disk `size` bytes large; the kernel rounds up to whole pages."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.path)], check=True)

    @contextmanager
    def full(self, free: int = 0) -> Iterator[None]:
        """No more than `free` bytes are left on the disk for the length of the block."""
        # Whoever writes meanwhile has made it too small: the kernel refuses.
        for attempt in range(100):
            try:
                self.resize(self.used() + free)
                break
            except subprocess.CalledProcessError:
                if attempt == 99:
                    raise
        try:
            yield
        finally:
            self.resize(self.megabytes * 2**20)

    def remove(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Disk]]:
    """Disks that are made by whoever needs one, and unmounted at the end. Skips where mounting is not allowed."""
    if os.getuid() != 0:
        lacking("only root may mount a small disk to fill")
    probe = tmp_path_factory.mktemp("probe")
    if subprocess.run(["mount", "-t", "tmpfs", "probe", str(probe)], capture_output=True).returncode:
        lacking("no disk can be mounted here")
    subprocess.run(["umount", str(probe)], check=True)
    made: list[Disk] = []
    yield made
    for disk in reversed(made):
        disk.remove()
