"""Puts a release together: archives that any Docker loads, their digests, their provenance, and checksums of it all.

python -m images.release VERSION VERIFIED RELEASE --locks FILE...

VERIFIED is what `make verify` keeps: NAME.tar of each image, and digests.json beside the directory. RELEASE is the
directory to fill; the source archive and the bills of materials are put there by bin/release.

Formats: in-toto Statement v1 (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) with SLSA
provenance v1 (https://slsa.dev/spec/v1.0/provenance).
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

from images.oci import ArchiveError, Image

# What production runs; the base's layer is in each of them.
IMAGES = ("web", "proxy", "db")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def pack(source: Path, target: Path, tag: str) -> None:
    """Copy the archive of an image, naming the image `tag`.

    It is an OCI layout with Docker's own manifest.json in addition, without which Docker's older image store does not
    load it. The same image and tag give the same bytes.
    """
    with Image(source) as image:
        blobs = "blobs/" + image.config_digest.replace(":", "/")
        layers = ["blobs/" + layer.digest.replace(":", "/") for layer in image.layers]
        index = json.loads(image.read("index.json"))
    name, _, version = tag.rpartition(":")
    index["manifests"][0]["annotations"] |= {
        "io.containerd.image.name": f"docker.io/{name}:{version}",
        "org.opencontainers.image.ref.name": version,
    }
    replaced = {
        "index.json": json.dumps(index).encode(),
        "manifest.json": json.dumps([{"Config": blobs, "RepoTags": [tag], "Layers": layers}]).encode(),
    }
    with tarfile.open(source, "r:") as old, tarfile.open(target, "w:", format=tarfile.USTAR_FORMAT) as new:
        for member in old:
            if member.name not in replaced:
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
        for path, data in sorted(replaced.items()):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))


def provenance(version: str, about: dict[str, Any], subjects: dict[str, str], locks: list[Path]) -> dict[str, Any]:
    """The statement of what was built from what, by whom and how. `subjects`: name to SHA-256."""
    materials = [{"name": "source", "digest": {"gitCommit": about["commit"]}}]
    if base := about.get("base"):
        materials.append({"name": base["image"], "digest": {"sha256": base["digest"].removeprefix("sha256:")}})
    materials += [{"name": lock.as_posix(), "digest": {"sha256": sha256(lock)}} for lock in locks]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:slipway:release:v1",
                "externalParameters": {"version": version, "commit": about["commit"], "strict": about["strict"]},
                "internalParameters": {"SOURCE_DATE_EPOCH": about["source_date_epoch"]},
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": {
                    "id": "urn:slipway:make-release",
                    "version": {"docker": about["docker"], "buildx": about["buildx"], "driver": about["builder"]},
                },
                "metadata": {
                    "invocationId": f"{about['commit']}/{version}",
                    "finishedOn": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            },
        },
    }


def checksums(directory: Path) -> str:
    """A line `SHA-256  path` for each file below `directory`, as sha256sum reads them."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return "".join(f"{sha256(path)}  {path.relative_to(directory).as_posix()}\n" for path in files)


def main(arguments: list[str]) -> int:
    """Fill the directory of a release; returns the exit status."""
    parser = argparse.ArgumentParser(prog="images.release")
    parser.add_argument("version")
    parser.add_argument("verified", type=Path)
    parser.add_argument("release", type=Path)
    parser.add_argument("--locks", type=Path, nargs="+", required=True)
    options = parser.parse_args(arguments)
    about = json.loads((options.verified.parent / "digests.json").read_text(encoding="utf-8"))
    images = {}
    subjects = {}
    (options.release / "images").mkdir()
    for name in IMAGES:
        source = options.verified / f"{name}.tar"
        with Image(source) as image:
            if image.digest != about["images"][name]["digest"]:
                raise ArchiveError(
                    f"{source} is not the image that {options.verified.parent}/digests.json names: run `make verify`"
                )
        images[name] = about["images"][name]
        target = options.release / "images" / source.name
        pack(source, target, f"slipway/{name}:{options.version}")
        subjects[f"slipway/{name}:{options.version}"] = images[name]["digest"].removeprefix("sha256:")
    write(options.release / "digests.json", {"version": options.version} | about | {"images": images})
    for path in sorted(options.release.rglob("*")):
        if path.is_file():
            subjects[path.relative_to(options.release).as_posix()] = sha256(path)
    write(options.release / "provenance.json", provenance(options.version, about, subjects, options.locks))
    (options.release / "SHA256SUMS").write_text(checksums(options.release), encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except ArchiveError as error:
        print(f"release: {error}", file=sys.stderr)
        raise SystemExit(1) from None
