"""Compiles the message catalogues, .po to .mo, without GNU gettext."""

from __future__ import annotations

import os
from pathlib import Path

import polib


def compile_catalogs(directory: Path) -> list[Path]:
    """Write the .mo beside each LC_MESSAGES/*.po below `directory` that is newer than it; returns those written.

    Raises ValueError naming the file for a catalogue that cannot be parsed, OSError for one that cannot be written.
    """
    written = []
    for source in sorted(directory.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            continue
        try:
            catalog = polib.pofile(str(source))
        except (OSError, ValueError) as error:
            raise ValueError(f"{source}: {error}") from error
        # Renamed into place, so that a running process never reads half a catalogue.
        temporary = target.with_suffix(f".{os.getpid()}.new.mo")
        catalog.save_as_mofile(str(temporary))
        temporary.rename(target)
        written.append(target)
    return written
