"""Puts a release together: archives that any Docker loads, their digests, their provenance, and checksums of it all.

python -m images.release images VERSION COMMIT VERIFIED RELEASE
python -m images.release seal RELEASE LOCK...

VERIFIED is what `make verify` keeps: NAME.tar of each image, and digests.json beside the directory. RELEASE is the
directory to fill; bin/release puts the source archive and the bills of materials there before it is sealed.

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


def names(image: Image, tag: str) -> dict[str, bytes]:
    """The files of an archive that name its image: the layout's index.json, and manifest.json.

    Docker's older image store loads only an archive that has the second. There is one way to write both, so that
    whoever checks a release can tell whether an archive names anything else.
    """
    name, _, version = tag.rpartition(":")
    manifest = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": image.digest,
        "size": image.size,
        "annotations": {
            "io.containerd.image.name": f"docker.io/{name}:{version}",
            "org.opencontainers.image.ref.name": version,
        },
        "platform": {"architecture": image.config["architecture"], "os": image.config["os"]},
    }
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [manifest],
    }
    docker = {
        "Config": blob(image.config_digest),
        "RepoTags": [tag],
        "Layers": [blob(layer.digest) for layer in image.layers],
    }
    return {"index.json": json.dumps(index).encode(), "manifest.json": json.dumps([docker]).encode()}


def blob(digest: str) -> str:
    """The path of a blob in an archive."""
    return "blobs/" + digest.replace(":", "/")


def pack(source: Path, target: Path, tag: str) -> None:
    """Copy the archive of an image, naming the image `tag`. The same image and tag give the same bytes."""
    with Image(source) as image:
        replaced = names(image, tag)
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
    base = about["base"]
    materials = [
        {"name": "source", "digest": {"gitCommit": about["commit"]}},
        {"name": base["image"], "digest": {"sha256": base["digest"].removeprefix("sha256:")}},
        *({"name": lock.as_posix(), "digest": {"sha256": sha256(lock)}} for lock in locks),
    ]
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


def copy_images(version: str, commit: str, verified: Path, release: Path) -> None:
    """Put the verified archives into the release, and digests.json. Raises ArchiveError for another commit's."""
    said = verified.parent / "digests.json"
    about = json.loads(said.read_text(encoding="utf-8"))
    if about["commit"] != commit or about["modified"]:
        raise ArchiveError(f"{said} is not of commit {commit}")
    images = {}
    (release / "images").mkdir()
    for name in IMAGES:
        source = verified / f"{name}.tar"
        with Image(source) as image:
            if image.digest != about["images"][name]["digest"]:
                raise ArchiveError(f"{source} is not the image that {said} names")
        images[name] = about["images"][name]
        pack(source, release / "images" / source.name, f"slipway/{name}:{version}")
    write(release / "digests.json", {"version": version} | about | {"images": images})


def seal(release: Path, locks: list[Path]) -> None:
    """Write the provenance of all that is in the release, and the checksums of that and of it."""
    about = json.loads((release / "digests.json").read_text(encoding="utf-8"))
    subjects = {
        f"slipway/{name}:{about['version']}": image["digest"].removeprefix("sha256:")
        for name, image in about["images"].items()
    }
    for path in sorted(release.rglob("*")):
        if path.is_file():
            subjects[path.relative_to(release).as_posix()] = sha256(path)
    write(release / "provenance.json", provenance(about["version"], about, subjects, locks))
    (release / "SHA256SUMS").write_text(checksums(release), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Do one of the two; returns the exit status. Raises ArchiveError, OSError, KeyError."""
    parser = argparse.ArgumentParser(prog="images.release")
    steps = parser.add_subparsers(dest="step", required=True)
    copying = steps.add_parser("images")
    for name in ("version", "commit"):
        copying.add_argument(name)
    copying.add_argument("verified", type=Path)
    copying.add_argument("release", type=Path)
    sealing = steps.add_parser("seal")
    sealing.add_argument("release", type=Path)
    sealing.add_argument("locks", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    if options.step == "images":
        copy_images(options.version, options.commit, options.verified, options.release)
    else:
        seal(options.release, options.locks)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except ArchiveError as error:
        print(f"release: {error}: run `make verify`", file=sys.stderr)
    except (KeyError, TypeError, ValueError) as error:
        print(f"release: build/digests.json is damaged ({error!r}): run `make verify`", file=sys.stderr)
    except OSError as error:
        print(f"release: {error}: make room, or mend the file's owner or mode", file=sys.stderr)
    raise SystemExit(1)
