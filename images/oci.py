"""Reads an image archive in the OCI layout, as BuildKit's `type=oci` and `docker save` write it, file by file.

Format: https://github.com/opencontainers/image-spec (image-layout.md, manifest.md, layer.md). Standard library only.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Self

# layer.md: a file of this name deletes the one it is named after; the second hides all that lies below its directory.
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "pipe",
}


class ArchiveError(Exception):
    """An archive that is no OCI image, or is damaged: the text is one line that names the file."""


@dataclass(frozen=True)
class Entry:
    """One file of a layer: absolute path, time in seconds, SHA-256 of the content (regular files only)."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    mtime: float
    size: int
    target: str
    digest: str
    attributes: tuple[tuple[str, str], ...]
    content: bytes | None


@dataclass(frozen=True)
class Layer:
    """A layer: the digest of what is stored (compressed), of the tar in it (`diff_id`), and the step that made it."""

    digest: str
    diff_id: str
    size: int
    created_by: str


def nothing(path: str) -> bool:
    """Keep the content of no file."""
    return False


class Image:
    """The one image of an archive; a context manager.

    Raises ArchiveError when the file is no OCI archive, holds no image, or what is read of it has not its digest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = tarfile.open(path, "r:")  # noqa: SIM115  (closed by __exit__)
        except (OSError, tarfile.TarError) as error:
            raise ArchiveError(f"{path} is no OCI archive: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._archive.close()

    def read(self, name: str) -> bytes:
        """The content of a file of the archive itself, `index.json` for one."""
        with self._open(name) as file:
            return file.read()

    def _open(self, name: str) -> IO[bytes]:
        try:
            opened = self._archive.extractfile(name)
        except (KeyError, tarfile.TarError) as error:
            raise ArchiveError(f"{self.path} is damaged or no OCI archive: it has no {name}") from error
        if not opened:
            raise ArchiveError(f"{self.path}: {name} is no file")
        return opened

    def _checked(self, digest: str) -> IO[bytes]:
        """The blob of a digest, opened once its content has been found to have it."""
        stored = self._open(f"blobs/{digest.replace(':', '/')}")
        try:
            found = hashlib.file_digest(stored, "sha256").hexdigest()  # type: ignore[arg-type]
            stored.seek(0)
        except (OSError, tarfile.TarError) as error:
            raise ArchiveError(f"{self.path} is damaged: {digest} cannot be read ({error})") from error
        if f"sha256:{found}" != digest:
            raise ArchiveError(f"{self.path} is damaged: the content of {digest} has another digest")
        return stored

    def _parsed(self, opened: IO[bytes], name: str) -> dict[str, Any]:
        try:
            parsed = json.loads(opened.read())
        except (OSError, ValueError, tarfile.TarError) as error:
            raise ArchiveError(f"{self.path} is damaged or no OCI archive: {name} is no JSON ({error})") from error
        if not isinstance(parsed, dict):
            raise ArchiveError(f"{self.path} is no OCI archive: {name} is no JSON object")
        return parsed

    @cached_property
    def _descriptor(self) -> dict[str, Any]:
        """What the index says of the one manifest: media type, digest, size."""
        index = self._parsed(self._open("index.json"), "index.json")
        try:
            for _ in range(2):
                # Attestations are manifests of the platform "unknown".
                found = [
                    entry
                    for entry in index.get("manifests", [])
                    if entry.get("platform", {}).get("architecture") != "unknown"
                ]
                if len({entry["digest"] for entry in found}) != 1:
                    raise ArchiveError(f"{self.path} holds {len(found)} images, not one")
                media = found[0].get("mediaType", "")
                if "index" not in media and "list" not in media:
                    break
                index = self._parsed(self._checked(found[0]["digest"]), found[0]["digest"])
        except (AttributeError, KeyError, TypeError) as error:
            raise ArchiveError(f"{self.path} is no OCI archive: its index names no manifest") from error
        described: dict[str, Any] = found[0]
        return described

    @property
    def digest(self) -> str:
        """The digest of the image: its manifest's, which names config and layers by theirs."""
        return str(self._descriptor["digest"])

    @property
    def size(self) -> int:
        """The size of the manifest, in bytes."""
        return len(self.read(f"blobs/{self.digest.replace(':', '/')}"))

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return self._parsed(self._checked(self.digest), self.digest)

    @cached_property
    def config(self) -> dict[str, Any]:
        return self._parsed(self._checked(self.config_digest), self.config_digest)

    @property
    def config_digest(self) -> str:
        try:
            return str(self.manifest["config"]["digest"])
        except (KeyError, TypeError) as error:
            raise ArchiveError(f"{self.path} is no OCI archive: its manifest names no config") from error

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers, lowest first."""
        steps = [step.get("created_by", "") for step in self.config.get("history", []) if not step.get("empty_layer")]
        try:
            ids = self.config["rootfs"]["diff_ids"]
            steps += [""] * (len(ids) - len(steps))
            return [
                Layer(stored["digest"], diff_id, stored["size"], step)
                for stored, diff_id, step in zip(self.manifest["layers"], ids, steps, strict=True)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"{self.path} is damaged: its manifest and its config name different layers") from error

    def entries(self, layer: Layer, keep: Callable[[str], bool] = nothing) -> Iterator[Entry]:
        """Every file of a layer in its order, whiteouts too; with the content of those whose path `keep` accepts."""
        stored = self._checked(layer.digest)
        magic = stored.read(4)
        stored.seek(0)
        if magic == b"\x28\xb5\x2f\xfd":
            raise ArchiveError(
                f"{self.path}: layer {layer.digest} is compressed with zstd; write it with compression=gzip"
            )
        plain: IO[bytes] = gzip.GzipFile(fileobj=stored) if magic[:2] == b"\x1f\x8b" else stored  # type: ignore[assignment]
        try:
            with tarfile.open(fileobj=plain, mode="r|") as archive:
                for info in archive:
                    yield entry_of(archive, info, keep)
        except (EOFError, OSError, tarfile.TarError, zlib.error) as error:
            raise ArchiveError(f"{self.path} is damaged: layer {layer.digest} cannot be read ({error})") from error

    def files(self, keep: Callable[[str], bool] = nothing) -> dict[str, Entry]:
        """The file system that a container of the image sees, by path."""
        found: dict[str, Entry] = {}
        for layer in self.layers:
            added: dict[str, Entry] = {}
            hidden: list[str] = []
            for entry in self.entries(layer, keep):
                directory, _, name = entry.path.rpartition("/")
                if name == OPAQUE:
                    hidden.append(directory + "/")
                elif name.startswith(WHITEOUT):
                    removed = f"{directory}/{name.removeprefix(WHITEOUT)}"
                    found.pop(removed, None)
                    hidden.append(removed + "/")
                else:
                    added[entry.path] = entry
                    # What takes a directory's place takes its content's too.
                    if entry.kind != "directory" and entry.path in found and found[entry.path].kind == "directory":
                        hidden.append(entry.path + "/")
            if hidden:
                found = {path: entry for path, entry in found.items() if not path.startswith(tuple(hidden))}
            found |= added
        return found


def resolve(files: Mapping[str, Entry], path: str) -> Entry | None:
    """The file that a path leads to in what Image.files returned, through symbolic and hard links; None for nowhere."""
    for _ in range(40):
        names = path.strip("/").split("/")
        for depth in range(1, len(names) + 1):
            prefix = "/" + "/".join(names[:depth])
            entry = files.get(prefix)
            if entry and entry.kind == "symbolic link":
                target = posixpath.join(posixpath.dirname(prefix), entry.target)
                path = posixpath.normpath("/".join([target, *names[depth:]]))
                break
        else:
            entry = files.get(path)
            if entry is None or entry.kind != "hard link":
                return entry
            path = "/" + entry.target.removeprefix("./").strip("/")
    return None


def entry_of(archive: tarfile.TarFile, info: tarfile.TarInfo, keep: Callable[[str], bool]) -> Entry:
    """The entry that `info` describes, read from `archive`."""
    path = posixpath.normpath("/" + info.name.strip("/"))
    kind = KINDS.get(info.type, "unknown")
    digest = ""
    content = None
    if kind == "file":
        opened = archive.extractfile(info)
        assert opened  # noqa: S101  (a regular file always has content)
        if keep(path):
            content = opened.read()
            digest = hashlib.sha256(content).hexdigest()
        else:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()  # type: ignore[arg-type]
    attributes = tuple(
        sorted((name, value) for name, value in info.pax_headers.items() if name.startswith("SCHILY.xattr."))
    )
    return Entry(
        path, kind, info.mode, info.uid, info.gid, info.mtime, info.size, info.linkname, digest, attributes, content
    )
