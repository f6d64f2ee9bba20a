"""What is in the images, file by file, and what is not."""

from __future__ import annotations

import functools
import io
import json
import re
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.stack.containers import RELEASE, build_images, docker
from tests.stack.local import ROOT
from tests.stack.needs import needs_docker

NAMES = ("base", "web", "proxy", "db")
# Sum of the files, in megabytes.
LARGEST = {"base": 100, "web": 260, "proxy": 140, "db": 450}
USERS = {"web": "10001:10010", "proxy": "10002:10010", "db": "10003:10003"}
# A key's content after its header: the header alone is in programs that read keys.
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}")


@dataclass(frozen=True)
class File:
    """One entry of an image's file system; `content` is kept only of what is small or Python's bytecode."""

    path: str
    info: tarfile.TarInfo
    content: bytes


def entries(archive: tarfile.TarFile) -> Iterator[File]:
    """Everything in an archive; the contents of regular files up to 256 kB."""
    for info in archive:
        path = "/" + info.name.removeprefix("./").strip("/")
        content = b""
        if info.isreg() and (info.size <= 2**18 or path.endswith(".pyc")):
            opened = archive.extractfile(info)
            content = opened.read() if opened else b""
        yield File(path, info, content)


@functools.cache
def files(name: str) -> dict[str, File]:
    """The file system of a container made from an image, by path."""
    needs_docker()
    build_images()
    container = docker("create", f"slipway/{name}:{RELEASE}", "true").strip()
    try:
        with (
            subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export,
            tarfile.open(fileobj=export.stdout, mode="r|") as archive,
        ):
            found = {file.path: file for file in entries(archive)}
    finally:
        docker("rm", "--volumes", container)
    # Docker itself puts these into every container.
    return {path: file for path, file in found.items() if path.split("/")[1] not in ("dev", "proc", "sys")}


@functools.cache
def configuration(name: str) -> dict[str, object]:
    """The configuration of an image: user, environment, entry point."""
    needs_docker()
    build_images()
    loaded: dict[str, object] = json.loads(docker("image", "inspect", f"slipway/{name}:{RELEASE}"))[0]["Config"]
    return loaded


@functools.cache
def layered(name: str) -> list[File]:
    """Every file of every layer, those that a later layer removes or replaces as well."""
    needs_docker()
    build_images()
    saved = subprocess.run(["docker", "save", f"slipway/{name}:{RELEASE}"], capture_output=True, check=True).stdout
    found: list[File] = []
    with tarfile.open(fileobj=io.BytesIO(saved)) as image:
        manifest = json.load(image.extractfile("manifest.json") or io.BytesIO())
        for layer in manifest[0]["Layers"]:
            opened = image.extractfile(layer)
            assert opened, layer
            with tarfile.open(fileobj=opened) as archive:
                found.extend(entries(archive))
    return found


def regular(name: str) -> Iterator[File]:
    return (file for file in files(name).values() if file.info.isreg())


@pytest.mark.parametrize("name", NAMES)
def test_the_size_stays_within_its_budget(name: str) -> None:
    megabytes = sum(file.info.size for file in regular(name)) / 1e6
    assert megabytes <= LARGEST[name]


@pytest.mark.parametrize("name", [*NAMES, "web-dev"])
def test_nothing_can_become_root(name: str) -> None:
    assert [file.path for file in regular(name) if file.info.mode & 0o6000] == []


@pytest.mark.parametrize("name", [*NAMES, "web-dev"])
def test_only_the_temporary_directories_are_open_to_everybody(name: str) -> None:
    found = {file.path for file in files(name).values() if file.info.mode & 0o002 and not file.info.issym()}
    assert found == {"/tmp", "/var/tmp"}


@pytest.mark.parametrize("name", USERS)
def test_the_user_is_fixed_and_not_root(name: str) -> None:
    assert configuration(name)["User"] == USERS[name]
    owners = {
        line.split(":")[2]: line.split(":")[0] for line in files(name)["/etc/passwd"].content.decode().splitlines()
    }
    assert owners[USERS[name].split(":")[0]] == f"slipway-{name}"


@pytest.mark.parametrize("name", ["web", "proxy", "db"])
def test_there_is_no_compiler_and_no_pip(name: str) -> None:
    tools = re.compile(r"(.*-)?(gcc|cc|g\+\+|c\+\+|cpp|ld|as|make)(-\d+)?|pip\d?(\.\d+)?|wheel")
    programs = [path for path in files(name) if re.match(r"/(usr/|usr/local/|venv/)?s?bin/", path)]
    assert len(programs) > 100
    assert [path for path in programs if tools.fullmatch(path.rpartition("/")[2])] == []
    assert [
        path for path in files(name) if re.search(r"/(pip|setuptools|ensurepip|wheel)/__init__\.py$|\.whl$", path)
    ] == []


@pytest.mark.parametrize("name", [*NAMES, "web-dev"])
def test_no_layer_holds_a_private_key_or_a_cluster(name: str) -> None:
    found = layered(name)
    assert len(found) > 1000
    assert [file.path for file in found if KEY.search(file.content)] == []
    assert [file.path for file in found if file.path.endswith(("/PG_VERSION", "/pg_control", "snakeoil.key"))] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_of_installing(name: str) -> None:
    left = re.compile(
        r"/var/(lib/apt/lists|cache/apt|cache/debconf|log)/.+|/var/cache/ldconfig/aux-cache|/var/lib/dpkg/[^/]+-old"
        r"|/usr/share/(man|info|locale|lintian)/.+|/usr/share/doc/.+/(?!copyright$)[^/]+|/(root/.+|tmp)/.+|/run/apt\.lock"
    )
    found = [file.path for file in files(name).values() if not file.info.isdir() and left.fullmatch(file.path)]
    assert found == []
    assert files(name)["/etc/machine-id"].content == b""


def test_the_application_belongs_to_root_and_nobody_else_can_write_it() -> None:
    found = [file for path, file in files("web").items() if path.startswith(("/app", "/venv"))]
    assert len(found) > 1000
    assert [
        file.path for file in found if file.info.uid != 0 or (file.info.mode & 0o022 and not file.info.issym())
    ] == []
    assert [file.path for file in found if not file.info.issym() and not file.info.mode & 0o004] == []


def test_bytecode_is_checked_by_nothing_that_changes() -> None:
    """Flags 1: valid whatever the time of the source is (PEP 552)."""
    found = [file for file in regular("web") if file.path.endswith(".pyc")]
    assert len(found) > 1000
    assert [file.path for file in found if struct.unpack("<I", file.content[4:8])[0] != 1] == []


def test_the_static_files_are_collected_and_precompressed() -> None:
    build = "/app/static-build/"
    paths = json.loads(files("web")[build + "staticfiles.json"].content)["paths"]
    stylesheet = build + paths["site.css"]
    small = {suffix: files("web")[stylesheet + suffix].info.size for suffix in (".gz", ".br")}
    assert small[".br"] < small[".gz"] < files("web")[stylesheet].info.size / 2


def test_the_catalogues_are_compiled() -> None:
    assert "/app/locale/zh_Hans/LC_MESSAGES/django.mo" in files("web")


@pytest.mark.parametrize(
    ("name", "service", "parent"),
    [
        ("base", "base", ""),
        ("web", "web", "base"),
        ("web-dev", "web", "web"),
        ("proxy", "proxy", "base"),
        ("db", "db", "base"),
    ],
)
def test_what_is_installed_is_what_the_lock_lists(name: str, service: str, parent: str) -> None:
    def installed(image: str) -> set[tuple[str, str]]:
        text = docker(
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            "dpkg-query",
            f"slipway/{image}:{RELEASE}",
            "-W",
            "-f",
            "${Package} ${Version}\n",
        )
        return {(line.split()[0], line.split()[1]) for line in text.splitlines()}

    lock = (ROOT / f"services/{service}/apt.lock").read_text()
    architecture = docker("image", "inspect", "--format", "{{.Architecture}}", f"slipway/{name}:{RELEASE}").strip()
    lines = re.search(rf"^\[{name} {architecture}\]\n(.*?)(?=^\[|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert lines
    locked = {(line.split()[0], line.split()[1]) for line in lines[1].splitlines() if line}
    assert installed(name) - (installed(parent) if parent else set()) == locked


def test_importing_the_project_writes_nothing() -> None:
    environment = {
        "ALLOWED_HOSTS": "localhost",
        "SITE_URL": "https://localhost",
        "SECRET_KEY_FILE": "/tmp/key",
        "DATABASE_PASSWORD_FILE": "/tmp/key",
        "DATABASE_HOST": "none",
        "DATABASE_USER": "none",
        "MEDIA_ROOT": "/srv/media",
    }
    script = "open('/tmp/key', 'w').write('k' * 64); import config.wsgi"
    options = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    container = docker(
        "create", "--network", "none", "--user", "0", *options, f"slipway/web:{RELEASE}", "python", "-c", script
    ).strip()
    try:
        docker("start", "--attach", container)
        changed = [line for line in docker("diff", container).splitlines() if not line.endswith((" /tmp", " /tmp/key"))]
    finally:
        docker("rm", "--volumes", container)
    assert changed == []
