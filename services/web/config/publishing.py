"""Publishes a release's static files beside those of the releases before it, so that pages of either find theirs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "staticfiles.json"
RECORDS = ".releases"
COMPRESSED = ("", ".gz", ".br")
KEPT_RELEASES = 3


class PublishingError(Exception):
    """The files cannot be published; the message says why and how to mend it."""


@dataclass(frozen=True)
class Published:
    """What one run did: how many files it added, how many were there already, how many it removed."""

    added: int
    present: int
    pruned: int


def hashed_names(build: Path) -> list[str]:
    """The hashed names that the manifest in `build` lists, with their compressed siblings, sorted.

    Raises PublishingError when there is no manifest: nothing was collected, or without hashes (DEBUG).
    """
    try:
        manifest = json.loads((build / MANIFEST).read_text(encoding="utf-8"))
        names = set(manifest["paths"].values())
    except FileNotFoundError:
        raise PublishingError(
            f"{build / MANIFEST} is missing: run `manage.py collectstatic` with DEBUG=0 first"
        ) from None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise PublishingError(
            f"{build / MANIFEST} cannot be read ({error}): run `manage.py collectstatic` again"
        ) from None
    return sorted(name + suffix for name in names for suffix in COMPRESSED if (build / (name + suffix)).is_file())


def add(source: Path, target: Path) -> bool:
    """Copy `source` to `target` unless that exists; it appears whole or not at all. True when it was copied."""
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, temporary)
    temporary.chmod(0o644)
    temporary.rename(target)
    return True


def record(published: Path, release: str, names: list[str]) -> None:
    """Note that `release` needs `names`. Two builds under one release's name are two records."""
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    safe = "".join(character if character.isalnum() or character in "-_." else "_" for character in release)
    entry = published / RECORDS / f"{safe[:80]}-{digest}.json"
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = entry.with_suffix(".new")
    temporary.write_text(json.dumps({"release": release, "published": time.time(), "names": names}), encoding="utf-8")
    temporary.rename(entry)


def prune(published: Path, kept: Collection[str] = ()) -> int:
    """Remove the files that neither the last releases nor those in `kept` name, and the records of the others.

    Returns how many files. Without `kept`, a few releases that fail one after the other would push out the one that
    serves.
    """
    entries = []
    for path in (published / RECORDS).glob("*.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            entries.append((float(content["published"]), path, set(content["names"]), content.get("release") in kept))
        except (OSError, ValueError, KeyError, TypeError) as error:
            # What it names is unknown, so nothing may be removed.
            raise PublishingError(f"{path} cannot be read ({error}): remove it and publish again") from None
    entries.sort(key=lambda entry: entry[0], reverse=True)
    needed = set().union(*(names for at, (*_, names, keep) in enumerate(entries) if keep or at < KEPT_RELEASES))
    pruned = 0
    for path in sorted(published.rglob("*"), reverse=True):
        if (published / RECORDS) in (path, *path.parents):
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(published).as_posix() not in needed:
            path.unlink()
            pruned += 1
    for _, path, _, keep in entries[KEPT_RELEASES:]:
        if not keep:
            path.unlink()
    return pruned


def publish(build: Path, published: Path, release: str, kept: Collection[str] = ()) -> Published:
    """Add the hashed files of `build` to `published`, never overwriting; remove what no recent or `kept` release names.

    Raises PublishingError (nothing collected, a broken record) or OSError (the directory cannot be written).
    """
    names = hashed_names(build)
    published.mkdir(parents=True, exist_ok=True)
    added = sum(add(build / name, published / name) for name in names)
    record(published, release, names)
    return Published(added=added, present=len(names) - added, pruned=prune(published, kept))
