"""Writes a bill of materials for each image (CycloneDX 1.6, JSON): what is installed in it, checked against the locks.

    python -m images.sbom --output DIR NAME=ARCHIVE...

NAME is base, web, proxy or db, ARCHIVE an image archive in the OCI layout. DIR/NAME.cdx.json says what IS installed.
What is locked and not installed, or installed and not locked, is named on a line each; then the exit status is 1 and
nothing is written. A Debian package in another version than the locked one is listed and no error, unless STRICT=1: the
archive has moved on, and the build allows it.

Formats: https://cyclonedx.org/docs/1.6/json/, https://github.com/package-url/purl-spec, deb-control(5), and Python's
core metadata. The same image, release and locks give the same bytes.
"""

from __future__ import annotations

import argparse
import email
import os
import re
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from debian.deb822 import Deb822, PkgRelation
from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from images import licences, locks
from images.locks import Locked, LockError
from images.oci import ArchiveError, Entry, Image, resolve

NAMES = ("base", "web", "proxy", "db")
STATUS = "/var/lib/dpkg/status"
METADATA = re.compile(r"(/.*)/[^/]+\.dist-info/METADATA")
# Debian's own Python packages are part of its packages.
DEBIAN_PYTHON = "/usr/lib/python3/dist-packages"
# The lock of the Python packages of an image; the others have none.
REQUIREMENTS = {"web": "requirements/web.txt"}


class MismatchError(Exception):
    """An image that is not what the locks say: one line a difference."""


@dataclass(frozen=True)
class Package:
    """An installed package: what it needs are names of packages that are installed, `lock` where it is locked."""

    purl: PackageURL
    licences: list[License]
    needs: frozenset[str]
    publisher: str
    location: str

    @property
    def name(self) -> str:
        return str(self.purl.name)

    @property
    def version(self) -> str:
        return str(self.purl.version)


@dataclass(frozen=True)
class Difference:
    """A package that is installed in another version than the locked one."""

    image: str
    package: str
    locked: str
    installed: str
    where: str


def wanted(path: str) -> bool:
    """Whether the content of a file is read."""
    return (
        path in (STATUS, "/usr/lib/os-release", "/venv/pyvenv.cfg")
        or METADATA.fullmatch(path) is not None
        or (path.startswith("/usr/share/doc/") and path.endswith("/copyright"))
    )


def text(files: Mapping[str, Entry], path: str) -> str:
    """The content of a file of an image, links followed; empty when it is not there."""
    entry = resolve(files, path)
    return (entry.content or b"").decode("utf-8", "replace") if entry else ""


def stanzas(status: str) -> list[Deb822]:
    """The installed packages of dpkg's status file; not those of which only the configuration is left."""
    return [
        stanza
        for stanza in Deb822.iter_paragraphs(status, use_apt_pkg=False)
        if stanza.get("Status", "").split()[-1:] == ["installed"]
    ]


def names(relations: str) -> list[list[str]]:
    """A field such as Depends: for each relation the names that satisfy it."""
    parsed = PkgRelation.parse_relations(relations) if relations else []
    return [[one["name"] for one in alternatives] for alternatives in parsed]


def debian_packages(files: Mapping[str, Entry], by_hand: Mapping[str, License]) -> list[Package]:
    """The Debian packages of an image's file system."""
    release = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text(files, "/usr/lib/os-release"), re.MULTILINE))
    installed = stanzas(text(files, STATUS))
    providers: dict[str, str] = {}
    for stanza in installed:
        for provided in names(stanza.get("Provides", "")):
            providers.update(dict.fromkeys(provided, str(stanza["Package"])))
    providers.update({str(stanza["Package"]): str(stanza["Package"]) for stanza in installed})
    found = []
    for stanza in installed:
        name, version = stanza["Package"], stanza["Version"]
        # "name" or "name (version)"; without the field both are the package's own.
        source, _, source_version = stanza.get("Source", name).partition(" ")
        source_version = source_version.strip("()") or version
        relations = ", ".join(stanza[field] for field in ("Pre-Depends", "Depends") if field in stanza)
        needs = {providers[one] for alternatives in names(relations) for one in alternatives if one in providers}
        found.append(
            Package(
                PackageURL(
                    "deb",
                    "debian",
                    name,
                    version,
                    {
                        "arch": stanza["Architecture"],
                        "distro": f"{release.get('ID', 'debian')}-{release.get('VERSION_ID', '')}",
                        "upstream": f"{source}@{source_version}",
                    },
                ),
                [by_hand[source]]
                if source in by_hand
                else licences.of_copyright(text(files, f"/usr/share/doc/{name}/copyright")),
                frozenset(needs - {name}),
                stanza.get("Maintainer", ""),
                STATUS,
            )
        )
    return found


def python_environment(files: Mapping[str, Entry], architecture: str) -> dict[str, str]:
    """The variables of PEP 508 in the image."""
    match = re.search(r"^version = ((\d+\.\d+)\S*)$", text(files, "/venv/pyvenv.cfg"), re.MULTILINE)
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture, architecture)
    known = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine, "extra": ""}
    return known | ({"python_full_version": match[1], "python_version": match[2]} if match else {})


def python_packages(
    files: Mapping[str, Entry], environment: Mapping[str, str], by_hand: Mapping[str, License]
) -> list[Package]:
    """The Python packages of an image's file system, wherever they are, but for those that are Debian's."""
    found = []
    for path in sorted(files):
        match = METADATA.fullmatch(path)
        if not match or match[1] == DEBIAN_PYTHON:
            continue
        metadata = email.message_from_string(text(files, path))
        needs = set()
        for line in metadata.get_all("Requires-Dist", []):
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            if requirement.marker is None or requirement.marker.evaluate(dict(environment)):
                needs.add(canonicalize_name(requirement.name))
        name = canonicalize_name(metadata.get("Name", "") or path)
        found.append(
            Package(
                PackageURL("pypi", None, name, metadata.get("Version", "")),
                [by_hand[name]] if name in by_hand else licences.of_metadata(metadata),
                frozenset(needs),
                "",
                match[1],
            )
        )
    return found


def base_packages(image: Image) -> dict[str, Locked]:
    """The packages of the image that the base is made from: those of the lowest layer with packages in it."""
    for layer in image.layers:
        for entry in image.entries(layer, lambda path: path == STATUS):
            if entry.path == STATUS and entry.content is not None:
                found = stanzas(entry.content.decode("utf-8", "replace"))
                return {
                    one["Package"]: Locked(one["Package"], one["Version"], (), "the image of pins.env") for one in found
                }
    raise ArchiveError(f"{image.path} has no layer with {STATUS}: it is no image of Debian")


def debian_locks(checkout: Path, name: str, image: Image) -> dict[str, Locked]:
    """What must be installed in an image: the base's packages and those of its section."""
    architecture = str(image.config.get("architecture", ""))
    lock = checkout / "services/base/apt.lock"
    found = locks.debian(lock, "base", architecture) if lock.exists() else base_packages(image)
    if name != "base":
        found = found | locks.debian(checkout / f"services/{name}/apt.lock", name, architecture)
    return found


def compare(
    name: str, kind: str, packages: Iterable[Package], locked: Mapping[str, Locked]
) -> tuple[list[str], list[Difference]]:
    """How what is installed in image `name` differs from what is locked: one line each, and other versions."""
    problems = []
    differences = []
    installed = {}
    for package in packages:
        if package.name in installed:
            problems.append(f"{name}: the {kind} package {package.name} is installed twice, in {package.location} too")
        installed[package.name] = package
        if package.name not in locked:
            where = "requirements/" if kind == "Python" else "the locks of services/"
            problems.append(
                f"{name}: the {kind} package {package.name} {package.version} ({package.location}) is installed and in "
                f"none of {where}: ask for it there and run `make lock`, or remove it, and build the image anew"
            )
        elif package.version != locked[package.name].version:
            want = locked[package.name]
            differences.append(Difference(name, package.name, want.version, package.version, want.where))
    problems += [
        f"{name}: {want.where} locks {want.name} {want.version}, which is not installed: run `make lock`, and build "
        "the image anew"
        for want in locked.values()
        if want.name not in installed
    ]
    return problems, differences


def moment(image: Image) -> datetime:
    """When the image was made, as its config says, or else SOURCE_DATE_EPOCH. Raises ArchiveError without either."""
    created, epoch = image.config.get("created"), os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromisoformat(created) if created else datetime.fromtimestamp(int(epoch), UTC)
    except (TypeError, ValueError) as error:
        raise ArchiveError(f"{image.path} does not say when it was made: set SOURCE_DATE_EPOCH to a number") from error


def component(package: Package, lock: Locked | None) -> Component:
    """The component of a package; `lock` is its line in a lock."""
    properties = [Property(name="slipway:location", value=package.location)]
    if lock:
        properties.append(Property(name="slipway:lock", value=lock.where))
    locked = lock.hashes if lock and lock.version == package.version else ()
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=value) for value in locked]
    python = package.purl.type == "pypi"
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=package.purl.to_string(),
        name=package.name,
        version=package.version,
        publisher=package.publisher or None,
        purl=package.purl,
        licenses=package.licences,
        # The lock has the hash of every file of a version; which of them was installed is not written anywhere.
        hashes=[] if python else hashes,
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(f"https://pypi.org/project/{package.name}/{package.version}/#files"),
                comment="one of these files",
                hashes=hashes,
            )
        ]
        if python and hashes
        else [],
        properties=properties,
    )


def document(
    name: str, release: str, image: Image, packages: Iterable[Package], locked: Mapping[str, Mapping[str, Locked]]
) -> str:
    """The bill of materials of an image, as JSON; `locked` are the locks by type of purl."""
    project = Component(
        type=ComponentType.CONTAINER,
        bom_ref=f"slipway/{name}",
        name=f"slipway/{name}",
        version=release,
        properties=[
            Property(name="slipway:architecture", value=str(image.config.get("architecture", ""))),
            Property(name="slipway:config", value=image.config_digest),
            Property(name="slipway:digest", value=image.digest),
        ],
    )
    components = {(one.purl.type, one.name): component(one, locked[one.purl.type].get(one.name)) for one in packages}
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"slipway/{name}:{release}@{image.digest}"),
        metadata=BomMetaData(
            component=project,
            timestamp=moment(image),
            tools=ToolRepository(components=[this_component()]),
        ),
        components=components.values(),
    )
    needed = set()
    for one in packages:
        below = [(one.purl.type, need) for need in one.needs if (one.purl.type, need) in components]
        bom.register_dependency(components[one.purl.type, one.name], [components[key] for key in below])
        needed.update(below)
    # What nothing else needs is there for the image's own sake.
    bom.register_dependency(project, [one for key, one in components.items() if key not in needed])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def bill(name: str, archive: Path, checkout: Path, release: str) -> tuple[str, list[str], list[Difference]]:
    """The bill of materials of an image archive, a line for each fault of the image, and versions that are not locked.

    Raises ArchiveError and LockError.
    """
    with Image(archive) as image:
        architecture = str(image.config.get("architecture", ""))
        files = image.files(wanted)
        if STATUS not in files:
            raise ArchiveError(f"{archive} has no {STATUS}: it is no image of Debian")
        environment = python_environment(files, architecture)
        by_hand = licences.by_hand(checkout / "services/licences")
        debian = debian_packages(files, by_hand)
        python = python_packages(files, environment, by_hand)
        locked = {
            "deb": debian_locks(checkout, name, image),
            "pypi": locks.python(checkout / REQUIREMENTS[name], environment) if name in REQUIREMENTS else {},
        }
        problems, drift = compare(name, "Debian", debian, locked["deb"])
        more, wrong = compare(name, "Python", python, locked["pypi"])
        problems += more
        # Nothing can move on between a Python lock and what is installed from it.
        problems += [
            f"{name}: {one.where} locks {one.package} {one.locked}, and {one.installed} is installed: build it anew"
            for one in wrong
        ]
        for package in [*debian, *python]:
            if not package.licences:
                where = f"/usr/share/doc/{package.name}/copyright"
                source = package.purl.qualifiers.get("upstream", "").partition("@")[0]
                if not source:
                    where, source = f"the metadata of {package.name} in {package.location}", package.name
                problems.append(
                    f"{name}: no licence is named in {where}: read it, and write '{source}  SPDX-EXPRESSION  # reason' "
                    "into services/licences"
                )
        return document(name, release, image, [*debian, *python], locked), problems, drift


def table(drift: Iterable[Difference]) -> list[str]:
    """The packages in other versions than the locked ones, in columns; an image's base is in all."""
    rows = [("image", "package", "locked", "installed", "lock")]
    rows += [(one.image, one.package, one.locked, one.installed, one.where) for one in drift]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows]


def write(documents: Mapping[str, str], output: Path) -> None:
    """Write NAME.cdx.json for each document, all or none."""
    output.mkdir(parents=True, exist_ok=True)
    paths = {name: output / f"{name}.cdx.json" for name in documents}
    try:
        for name, content in documents.items():
            paths[name].with_suffix(".new").write_text(content, encoding="utf-8")
        for path in paths.values():
            path.with_suffix(".new").replace(path)
    finally:
        for path in paths.values():
            path.with_suffix(".new").unlink(missing_ok=True)


def pair(argument: str) -> tuple[str, Path]:
    """NAME=ARCHIVE, taken apart."""
    name, separator, path = argument.partition("=")
    if not separator or name not in NAMES or not path:
        raise argparse.ArgumentTypeError(f"{argument} is not NAME=ARCHIVE with one of {', '.join(NAMES)}")
    return name, Path(path)


def run(images: Mapping[str, Path], output: Path, checkout: Path, release: str, strict: bool) -> None:
    """Write the bills of materials of image archives. Raises ArchiveError, LockError, OSError, and MismatchError."""
    documents: dict[str, str] = {}
    problems: list[str] = []
    drift: list[Difference] = []
    for name, archive in images.items():
        documents[name], found, differences = bill(name, archive, checkout, release)
        problems += found
        drift += differences
    if drift:
        print("sbom: drift: Debian's archive has moved on from the locks; this is what is installed (STRICT=1 refuses)")
        for line in table(drift):
            print(f"sbom: drift:   {line}")
        if strict:
            problems.append(
                f"{len(drift)} Debian packages are not installed in the locked version: run `make lock`, or STRICT=0"
            )
    if problems:
        raise MismatchError("\n".join(f"sbom: {problem}" for problem in problems))
    write(documents, output)
    for name, content in documents.items():
        count = content.count('"bom-ref": "pkg:')
        print(f"sbom: {output / name}.cdx.json: {count} packages")


def main(arguments: list[str] | None = None) -> int:
    """The command; see the text of this module."""
    parser = argparse.ArgumentParser(prog="sbom", description="Writes a bill of materials for each image.")
    parser.add_argument(
        "images", nargs="+", type=pair, metavar="NAME=ARCHIVE", help="base, web, proxy or db, and where it is"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="directory for NAME.cdx.json")
    parser.add_argument(
        "--checkout", type=Path, default=Path(), metavar="DIR", help="whose locks are compared [this one]"
    )
    parser.add_argument(
        "--release", default=os.environ.get("RELEASE") or "dev", help="version of the images [RELEASE or dev]"
    )
    given = parser.parse_args(arguments)
    try:
        run(dict(given.images), given.output, given.checkout, given.release, os.environ.get("STRICT") == "1")
    except (ArchiveError, LockError, OSError) as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    except MismatchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
