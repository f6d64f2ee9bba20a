"""Reads the locks: Debian packages of services/*/apt.lock, Python packages of requirements/*.txt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from pip_requirements_parser import RequirementsFile


class LockError(Exception):
    """A lock that cannot be read: the text is one line that names the file, what is wrong and how to mend it."""


@dataclass(frozen=True)
class Locked:
    """A locked package: `hashes` are SHA-256, of its .deb or of every file of that version on the index."""

    name: str
    version: str
    hashes: tuple[str, ...]
    where: str


def debian(path: Path, section: str, architecture: str) -> dict[str, Locked]:
    """The packages of a section of an apt.lock by name, for an architecture in Debian's spelling.

    The section is `[name architecture]`, or `[name]` in a lock made for one architecture: it holds for the versions on
    another, but the hashes of what is not `all` do not. Raises LockError. Format: bin/apt-lock.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{path} cannot be read ({error}): run `make lock`") from error
    head = next((head for head in (f"[{section} {architecture}]", f"[{section}]") if head in lines), None)
    if not head:
        raise LockError(f"{path} has no section [{section} {architecture}]: run `make lock`")
    found: dict[str, Locked] = {}
    for number, line in enumerate(lines[lines.index(head) + 1 :], lines.index(head) + 2):
        if line.startswith("["):
            break
        if not line or line.startswith("#"):
            continue
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+ \S+ [a-z0-9-]+ [0-9a-f]{64}", line):
            raise LockError(
                f"{path} line {number} is not 'package version architecture sha256': run `make lock`",
            )
        name, version, built_for, digest = line.split(" ")
        hashes = (digest,) if built_for in ("all", architecture) else ()
        found[name] = Locked(name, version, hashes, f"{path.parent.parent.name}/{path.parent.name}/{path.name} {head}")
    return found


def python(path: Path, environment: Mapping[str, str] | None = None) -> dict[str, Locked]:
    """The packages of a requirements/*.txt by canonical name; of lines with a marker, those that hold in `environment`.

    `environment` overrides the variables of PEP 508 that differ from those of the Python that runs this.
    Raises LockError when a line is not one exact version with hashes.
    """
    try:
        path.open("rb").close()
        parsed = RequirementsFile.from_file(str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{path} cannot be read ({error}): run `make lock`") from error
    for line in parsed.invalid_lines:
        raise LockError(f"{path} line {line.line_number} is no requirement: run `make lock`")
    found: dict[str, Locked] = {}
    for requirement in parsed.requirements:
        if requirement.marker is not None and not requirement.marker.evaluate(dict(environment or {})):
            continue
        version = requirement.name and requirement.get_pinned_version
        hashes = tuple(sorted(text.removeprefix("sha256:") for text in requirement.hash_options))
        if not version or not hashes or any(len(text) != 64 for text in hashes):
            raise LockError(
                f"{path} line {requirement.requirement_line.line_number} is not one version with SHA-256 hashes: "
                "run `make lock`"
            )
        name = canonicalize_name(requirement.name)
        found[name] = Locked(name, str(version), hashes, f"{path.parent.name}/{path.name}")
    return found
