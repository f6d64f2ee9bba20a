"""`python -m config.autoreload`: tells the parent process (the uWSGI master) to reload when the source changes.

It polls, because events do not cross every kind of mount that a container's source tree can be on, and imports nothing
of the project that can break it.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from config.catalogs import compile_catalogs

SOURCE = Path(__file__).resolve().parent.parent
SUFFIXES = (".py", ".po")
SECONDS = 0.5
SEEN = "AUTORELOAD_SEEN"
SKIPPED = {"__pycache__", "node_modules", "sample", "static", "templates"}


def source_files(directory: Path) -> Iterator[os.DirEntry[str]]:
    """The files below `directory` that a running process has read: code and message catalogues."""
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in SKIPPED:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from source_files(Path(entry.path))
        elif entry.name.endswith(SUFFIXES):
            yield entry


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    """The time of change (ns) and size of each source file below `directory`, by path."""
    found = {}
    for entry in source_files(directory):
        try:
            state = entry.stat()
        except OSError:
            continue
        found[entry.path] = (state.st_mtime_ns, state.st_size)
    return found


def fingerprint(state: dict[str, tuple[int, int]]) -> str:
    """A digest of a snapshot, short enough for an environment variable."""
    return hashlib.sha256(repr(sorted(state.items())).encode()).hexdigest()


def note_what_is_imported() -> None:
    """Called before the project is imported: an edit made while the server starts must not go unseen."""
    os.environ[SEEN] = fingerprint(snapshot(SOURCE))


def changes(directory: Path, before: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Wait until the source differs from `before` and has stopped changing for one turn; returns the new snapshot."""
    while (now := snapshot(directory)) == before:
        time.sleep(SECONDS)
    while True:
        time.sleep(SECONDS / 2)
        if (later := snapshot(directory)) == now:
            return now
        now = later


def recompile() -> None:
    """Compile the catalogues that changed; a broken one is reported and leaves the old translations in place."""
    try:
        compile_catalogs(SOURCE / "locale")
    except (OSError, ValueError) as error:
        print(f"autoreload: {error}", flush=True)


def main() -> None:
    """Send SIGHUP to the parent at every change, until the parent is gone."""
    parent = os.getppid()
    known = snapshot(SOURCE)
    if os.environ.get(SEEN, fingerprint(known)) != fingerprint(known):
        known = {}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while os.getppid() == parent:
        now = snapshot(SOURCE)
        if now != known:
            known = changes(SOURCE, known)
            recompile()
            print("autoreload: the source changed, reloading", flush=True)
            os.kill(parent, signal.SIGHUP)
        time.sleep(SECONDS)


if __name__ == "__main__":
    main()
