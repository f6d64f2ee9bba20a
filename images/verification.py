"""Checks a release: nothing missing, nothing more, every byte as it was made, and by whom it was signed.

python -m images.verification RELEASE [--public-key FILE] [--images]

RELEASE is what `make release` wrote. With --images, standard output is for a program: the version on the first line,
then `NAME DIGEST CONFIG PLATFORM` for each image; what people should know goes to standard error. Standard library
only, and ssh-keygen where there is a signature.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from images.compare import digests
from images.oci import ArchiveError, Image
from images.release import IMAGES, names, sha256

NAMESPACE = "slipway-release"
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
NEEDED = {"digests.json", "provenance.json", *(f"images/{name}.tar" for name in IMAGES)}
LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*)")
# What bin/release lets through. These two are tags of what is built and not released.
VERSION = re.compile(r"(?!(?:dev|verify)$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
KEY_TYPE = re.compile(r"(?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+")
COPY_AGAIN = "copy the release again"
DO_NOT_RUN = "do not run it; get it from who made it"


class ReleaseError(Exception):
    """What is wrong with a release: one line that says what, where, and how it is mended."""


@dataclass(frozen=True)
class Release:
    """A release that was found whole. `fingerprint` is of the key that signed it; `known`: that of who must have."""

    version: str
    commit: str
    files: int
    fingerprint: str
    known: bool
    images: dict[str, dict[str, Any]]

    @property
    def signed(self) -> str:
        """By whom it was made, as far as that is known."""
        if not self.fingerprint:
            return "it is not signed: who made it is not known"
        if not self.known:
            return f"signed by {self.fingerprint}; whose key that is was not checked (name it in PUBLIC_KEY)"
        return f"signed by {self.fingerprint}"


def verify(directory: Path, public_key: Path | None = None) -> Release:
    """Check the release in `directory`. Raises ReleaseError, ArchiveError or OSError."""
    if not directory.is_dir():
        raise ReleaseError(f"{directory} is no directory: name what `make release` wrote")
    listed = sums(directory)
    present = files(directory) - {SUMS, SIGNATURE}
    for name in sorted(listed.keys() - present):
        raise ReleaseError(f"{directory / name} is missing: {COPY_AGAIN}")
    for name in sorted(present - listed.keys()):
        raise ReleaseError(f"{directory / name} is no part of the release: remove it, or {COPY_AGAIN}")
    for name in sorted(NEEDED - listed.keys()):
        raise ReleaseError(f"{directory / SUMS} does not name {name}: this is no whole release; {COPY_AGAIN}")
    fingerprint = signature(directory, public_key)
    for name, digest in listed.items():
        if sha256(directory / name) != digest:
            raise ReleaseError(f"{directory / name} is damaged or was changed: {COPY_AGAIN}")
    said = parsed(directory / "digests.json")
    version, commit, described = str(said.get("version")), str(said.get("commit")), said.get("images")
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"{directory}/digests.json names no version: {DO_NOT_RUN}")
    if not isinstance(described, dict) or described.keys() != set(IMAGES):
        raise ReleaseError(f"{directory}/digests.json does not describe {', '.join(IMAGES)}: {DO_NOT_RUN}")
    folder = directory.resolve().name
    if folder.startswith("release-") and folder != f"release-{version}":
        raise ReleaseError(f"{directory} holds version {version}: name it release-{version}, or {DO_NOT_RUN}")
    subjects = attested(directory / "provenance.json", commit)
    for name in IMAGES:
        archive = directory / f"images/{name}.tar"
        tag = f"slipway/{name}:{version}"
        with Image(archive) as image:
            whole(archive)
            if without_steps(digests(image)) != without_steps(described[name]):
                raise ReleaseError(f"{archive} is not the image that digests.json describes: {DO_NOT_RUN}")
            if f"sha256:{subjects.get(tag)}" != image.digest:
                raise ReleaseError(f"{archive} is not the image that provenance.json speaks of: {DO_NOT_RUN}")
            for part, content in names(image, tag).items():
                if image.read(part) != content:
                    raise ReleaseError(f"{archive} names other images than {tag}: {DO_NOT_RUN}")
    return Release(version, commit, len(listed), fingerprint, public_key is not None, described)


def without_steps(described: Any) -> Any:
    """The digests of an image without the text of the steps, which is for readers and may be shortened otherwise."""
    if isinstance(described, dict):
        return {key: without_steps(value) for key, value in described.items() if key != "created_by"}
    return [without_steps(value) for value in described] if isinstance(described, list) else described


def sums(directory: Path) -> dict[str, str]:
    """The SHA-256 of each file, by path, as SHA256SUMS has them."""
    path = directory / SUMS
    if path.is_symlink() or not path.is_file():
        raise ReleaseError(f"{path} is missing: this is no release, or only a part of one; {COPY_AGAIN}")
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = LINE.fullmatch(line)
        if not match or match[2] in found:
            raise ReleaseError(f"{path} is damaged: {COPY_AGAIN}")
        found[match[2]] = match[1]
    return found


def files(directory: Path) -> set[str]:
    """The paths of all files; what is neither a file nor a directory is refused."""
    found = set()
    for parent, directories, others in os.walk(directory):
        for entry in directories + others:
            path = Path(parent, entry)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                found.add(path.relative_to(directory).as_posix())
            elif not stat.S_ISDIR(mode):
                raise ReleaseError(f"{path} is neither a file nor a directory: {COPY_AGAIN}")
    return found


def parsed(path: Path) -> dict[str, Any]:
    """A JSON object of the release."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReleaseError(f"{path} is no JSON ({error}): {DO_NOT_RUN}") from error
    if not isinstance(found, dict):
        raise ReleaseError(f"{path} is no JSON object: {DO_NOT_RUN}")
    return found


def attested(path: Path, commit: str) -> dict[str, str]:
    """The SHA-256 of each subject of the provenance, by name; it must speak of `commit`."""
    statement = parsed(path)
    try:
        definition = statement["predicate"]["buildDefinition"]
        if definition["externalParameters"]["commit"] != commit:
            raise ReleaseError(f"{path} speaks of another commit than digests.json: {DO_NOT_RUN}")
        return {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    except (KeyError, TypeError) as error:
        raise ReleaseError(f"{path} is no statement of provenance ({error!r}): {DO_NOT_RUN}") from error


def whole(archive: Path) -> None:
    """Check that an archive holds an OCI layout, each file once and each blob under its digest, and nothing else."""
    seen = set()
    with tarfile.open(archive, "r:") as opened:
        for member in opened:
            name = member.name.rstrip("/")
            if member.isdir() and name in ("blobs", "blobs/sha256"):
                continue
            match = re.fullmatch(r"blobs/sha256/([0-9a-f]{64})", name)
            if (
                name in seen
                or not member.isreg()
                or not (match or name in ("oci-layout", "index.json", "manifest.json"))
            ):
                raise ReleaseError(f"{archive} holds {name!r}, which no release does: {DO_NOT_RUN}")
            seen.add(name)
            content = opened.extractfile(member)
            if match and content and hashlib.file_digest(content, "sha256").hexdigest() != match[1]:  # type: ignore[arg-type]
                raise ReleaseError(f"{archive} is damaged inside: {DO_NOT_RUN}")


def keys(path: Path) -> Iterator[str]:
    """The public keys of a file, `TYPE BASE64` each: of a .pub, of authorized_keys or of allowed_signers."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"PUBLIC_KEY={path} cannot be read: name the .pub file of the key that signs") from error
    for line in lines:
        words = line.split()
        for word, following in pairwise(words):
            if not line.lstrip().startswith("#") and KEY_TYPE.fullmatch(word):
                yield f"{word} {following}"
                break


def signature(directory: Path, public_key: Path | None) -> str:
    """The fingerprint of the key that signed the checksums; "" without a signature, where none is asked for."""
    signed = directory / SIGNATURE
    allowed = list(keys(public_key)) if public_key else []
    if public_key and not allowed:
        raise ReleaseError(f"PUBLIC_KEY={public_key} holds no SSH public key: name the .pub file of the key that signs")
    if not signed.is_file():
        if public_key:
            raise ReleaseError(
                f"{directory} has no signature ({SIGNATURE}), and PUBLIC_KEY={public_key} asks for one: {DO_NOT_RUN}"
            )
        return ""
    if not shutil.which("ssh-keygen"):
        raise ReleaseError("ssh-keygen, which checks the signature, is missing: apt-get install openssh-client")
    found = ssh_keygen(directory, "check-novalidate")
    match = re.search(r"SHA256:[A-Za-z0-9+/=]+", found.stdout)
    if found.returncode or not match:
        raise ReleaseError(f"{signed} is no signature of this release: {DO_NOT_RUN}")
    if public_key:
        with tempfile.NamedTemporaryFile("w", suffix=".signers") as signers:
            signers.writelines(f"release {key}\n" for key in allowed)
            signers.flush()
            if ssh_keygen(directory, "verify", "-f", signers.name, "-I", "release").returncode:
                raise ReleaseError(
                    f"{signed} is by another key ({match[0]}) than {public_key}: {DO_NOT_RUN}, or name the right key"
                )
    return match[0]


def ssh_keygen(directory: Path, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `ssh-keygen -Y` says of the signature over the checksums."""
    with (directory / SUMS).open("rb") as content:
        return subprocess.run(
            ["ssh-keygen", "-Y", action, "-n", NAMESPACE, "-s", directory / SIGNATURE, *arguments],
            check=False,
            stdin=content,
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )


def main(arguments: list[str]) -> int:
    """Check and tell; returns the exit status."""
    parser = argparse.ArgumentParser(prog="images.verification")
    parser.add_argument("release", type=Path)
    parser.add_argument("--public-key", type=Path)
    parser.add_argument("--images", action="store_true")
    options = parser.parse_args(arguments)
    try:
        release = verify(options.release, options.public_key)
    except (ReleaseError, ArchiveError, OSError, tarfile.TarError) as error:
        print(f"verify-release: {error}", file=sys.stderr)
        return 1
    if options.images:
        print(release.version)
        for name, image in release.images.items():
            print(name, image["digest"], image["config"], image["platform"])
        if not release.known:
            print(f"verify-release: {options.release}: {release.signed}", file=sys.stderr)
        return 0
    for name, image in release.images.items():
        print(f"  {name:<6} {image['digest']}  {image['platform']}")
    print(f"verify-release: {options.release} is whole: version {release.version}, commit {release.commit[:12]}")
    print(f"verify-release: {release.files} files as they were made, {release.signed}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
