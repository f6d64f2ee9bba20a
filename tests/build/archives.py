"""Writes image archives in the OCI layout, small and with faults where a test wants them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Member:
    """An entry of a layer; its path without a leading slash, as builders write it."""

    path: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    target: str = ""


def directory(path: str) -> Member:
    return Member(path, kind=tarfile.DIRTYPE)


def symbolic(path: str, target: str) -> Member:
    return Member(path, kind=tarfile.SYMTYPE, target=target)


def hard(path: str, target: str) -> Member:
    return Member(path, kind=tarfile.LNKTYPE, target=target)


def tar(members: Iterable[Member]) -> bytes:
    """A layer: the tar of its members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.type, info.linkname, info.size = member.kind, member.target, len(member.content)
            archive.addfile(info, io.BytesIO(member.content))
    return stream.getvalue()


@dataclass
class Archive:
    """An image archive to be: blobs by digest, and what index.json names."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def blob(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return digest

    def document(self, content: object) -> dict[str, Any]:
        """The descriptor of a blob of JSON."""
        text = json.dumps(content).encode()
        return {"digest": self.blob(text), "size": len(text)}

    def image(self, *layers: Iterable[Member], compress: bool = False, **config: Any) -> str:
        """Add an image of these layers; returns the digest of its manifest."""
        tars = [tar(layer) for layer in layers]
        stored = [gzip.compress(one, mtime=0) if compress else one for one in tars]
        settings = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-10-05T00:00:00Z",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in tars]},
            **config,
        }
        manifest = self.document(
            {
                "schemaVersion": 2,
                "config": self.document({key: value for key, value in settings.items() if value is not None}),
                "layers": [{"digest": self.blob(one), "size": len(one)} for one in stored],
            }
        )
        manifest |= {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "platform": {"architecture": "amd64", "os": "linux"},
        }
        self.manifests.append(manifest)
        return str(manifest["digest"])

    def write(self, path: Path) -> Path:
        """Write the archive."""
        index = json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode()
        files = {f"blobs/{digest.replace(':', '/')}": content for digest, content in self.blobs.items()}
        path.write_bytes(tar([Member(name, content) for name, content in (files | {"index.json": index}).items()]))
        return path


def image(path: Path, *layers: Iterable[Member], compress: bool = False, **config: Any) -> Path:
    """Write the archive of one image."""
    archive = Archive()
    archive.image(*layers, compress=compress, **config)
    return archive.write(path)
