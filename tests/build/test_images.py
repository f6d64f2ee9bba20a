"""What is in the images, file by file, and what is not: in what a container sees, and in every layer."""

from __future__ import annotations

import functools
import json
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from images.oci import WHITEOUT, Entry, Image
from tests.stack.containers import RELEASE, build_images, docker
from tests.stack.local import ROOT
from tests.stack.needs import needs_docker

NAMES = ("base", "web", "proxy", "db")
every_image = pytest.mark.parametrize("name", [*NAMES, "web-dev"])
# Sum of the files, in megabytes.
LARGEST = {"base": 100, "web": 260, "proxy": 140, "db": 450}
USERS = {"web": "10001:10010", "proxy": "10002:10010", "db": "10003:10003"}
# Where something may be listened on: nginx's two and PostgreSQL's. uWSGI has a socket in a volume.
PORTS = {"base": set(), "web": set(), "web-dev": set(), "proxy": {"8080/tcp", "8443/tcp"}, "db": {"5432/tcp"}}
# Directories whose files get the directory's group: the volumes, and one of Debian's.
SETGID = {"/run/web", "/srv/media", "/srv/static", "/var/mail"}
# Debian's own accounts, which no process of ours is.
ACCOUNTS = {
    "root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data", "backup",
    "list", "irc", "_apt", "nobody",
}  # fmt: skip
# A key's content after its header: the header alone is in programs that read keys.
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}")
# What installing leaves behind, or what nobody in a container reads.
NEEDLESS = re.compile(
    r"""
      /var/(lib/apt/lists|cache/apt|cache/debconf|log|tmp)/.+ | /var/cache/ldconfig/aux-cache | /var/lib/dpkg/[^/]+-old
    | /etc/[^/]+- | /etc/\.pwd\.lock | /etc/(subuid|subgid)\.lock | /run/(apt\.lock|adduser) | /(root/.+|tmp)/.+
    | .*/\.([a-z]+_)?hist(ory|file)? | .*/\.(cache|ssh|pip|wget-hsts|netrc|pypirc|git|env)(/.*)?
    | /usr/share/(man|info|locale|lintian|linda|i18n|bash-completion)/.+
    | /usr/share/doc/.+/(?!copyright$)[^/]+ | /usr/share/postgresql/.*/man/.+
    | /usr/lib/locale/(?!C\.utf8/).+
    | /etc/(cron\.[a-z]+|init\.d|rc.\.d|logrotate\.d)/.+ | /etc/crontab | /(etc|usr/lib)/systemd/(system|user)/.+
    | /var/lib/systemd/.+/.+
    | /usr/(local/)?include/.+ | .*\.(a|la|o|h|hpp|pyi|po|pot) | .*/pkgconfig/.+ | .*/cmake/.+\.cmake
    | /usr/lib/python3[^/]*/(test|idlelib|pydoc_data|ensurepip|lib2to3)/.+ | .*/site-packages/(.+/)?tests/.+
    | .*/conftest\.py
    """,
    re.VERBOSE,
)
# What would make a server listen without the configuration that is ours: Debian's, and a cluster.
DEFAULTS = re.compile(r"/etc/(nginx|postgresql|uwsgi)(/.*)?|/var/www(/.*)?")


@dataclass(frozen=True)
class Contents:
    """All files of each layer, lowest first, those removed or replaced later as well; those that a container sees; and
    the paths of those that hold a private key. Content is kept only of what is small or Python's bytecode.
    """

    layers: list[list[Entry]]
    seen: dict[str, Entry]
    keys: list[str]

    @property
    def ours(self) -> Iterator[Entry]:
        """The files of all layers but the lowest, which is Debian's, as it came."""
        return (entry for layer in self.layers[1:] for entry in layer)


@functools.cache
def contents(name: str) -> Contents:
    """What an image holds."""
    needs_docker()
    build_images()
    found = Contents([], {}, [])
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory, "image.tar")
        docker("save", "--output", str(archive), f"slipway/{name}:{RELEASE}")
        with Image(archive) as image:
            for layer in image.layers:
                found.layers.append([])
                for entry in image.entries(layer, lambda path: True):
                    content = entry.content or b""
                    if KEY.search(content):
                        found.keys.append(entry.path)
                    kept = len(content) <= 2**18 or entry.path.endswith(".pyc")
                    found.layers[-1].append(entry if kept else replace(entry, content=None))
            small = {(entry.path, entry.digest): entry.content for layer in found.layers for entry in layer}
            for path, entry in image.files().items():
                found.seen[path] = replace(entry, content=small[path, entry.digest])
    return found


def files(name: str) -> dict[str, Entry]:
    """The files that a container sees, by path."""
    return contents(name).seen


def text(name: str, path: str) -> str:
    """The text of a small file."""
    return (files(name)[path].content or b"").decode()


@functools.cache
def configuration(name: str) -> dict[str, Any]:
    """The configuration of an image: user, environment, entry point."""
    needs_docker()
    build_images()
    loaded: dict[str, Any] = json.loads(docker("image", "inspect", f"slipway/{name}:{RELEASE}"))[0]["Config"]
    return loaded


@pytest.mark.parametrize("name", NAMES)
def test_the_size_stays_within_its_budget(name: str) -> None:
    megabytes = sum(file.size for file in files(name).values() if file.kind == "file") / 1e6
    assert 10 < megabytes <= LARGEST[name]


@every_image
def test_nothing_can_become_root(name: str) -> None:
    marked = [file for file in (*files(name).values(), *contents(name).ours) if file.mode & 0o6000]
    assert [file.path for file in marked if file.kind != "directory"] == []
    # A program with a capability of its own.
    everything = [file for layer in contents(name).layers for file in layer]
    assert [file.path for file in everything if any("security.capability" in key for key, _ in file.attributes)] == []


@every_image
def test_only_the_volumes_pass_on_their_group(name: str) -> None:
    assert {path for path, file in files(name).items() if file.kind == "directory" and file.mode & 0o6000} == SETGID


@every_image
def test_there_are_files_and_links_and_no_devices(name: str) -> None:
    everything = [file for layer in contents(name).layers for file in layer]
    assert {file.kind for file in everything} <= {"file", "directory", "symbolic link", "hard link"}


@every_image
def test_only_the_temporary_directories_are_open_to_everybody(name: str) -> None:
    """And in those nobody can remove what is another's."""
    everything = [*files(name).values(), *contents(name).ours]
    found = {(file.path, file.mode) for file in everything if file.mode & 0o002 and file.kind != "symbolic link"}
    assert found == {("/tmp", 0o1777), ("/var/tmp", 0o1777)}


@pytest.mark.parametrize("name", USERS)
def test_the_user_is_fixed_and_not_root(name: str) -> None:
    assert configuration(name)["User"] == USERS[name]
    owners = {line.split(":")[2]: line.split(":")[0] for line in text(name, "/etc/passwd").splitlines()}
    assert owners[USERS[name].split(":")[0]] == f"slipway-{name}"


@every_image
def test_nobody_can_log_in(name: str) -> None:
    accounts = [line.split(":") for line in text(name, "/etc/passwd").splitlines()]
    ours = {f"slipway-{service}" for service in USERS} | ({"postgres"} if name == "db" else set())
    assert {account[0] for account in accounts} == ACCOUNTS | ours
    assert {account[0] for account in accounts if account[2] == "0"} == {"root"}
    assert {account[0] for account in accounts if account[6] != "/usr/sbin/nologin"} == {"root", "sync"}
    passwords = {
        line.split(":")[1] for path in ("/etc/shadow", "/etc/gshadow") for line in text(name, path).splitlines()
    }
    assert passwords <= {"*", "!"}
    assert [account[0] for account in accounts if account[1] != "x"] == []


@every_image
def test_nobody_is_in_a_group_besides_their_own_or_has_other_ids(name: str) -> None:
    members = {line.split(":")[0]: line.split(":")[3] for line in text(name, "/etc/group").splitlines()}
    # Debian's package puts its account there; its files are nobody's here.
    assert {group: member for group, member in members.items() if member} == (
        {"ssl-cert": "postgres"} if name == "db" else {}
    )
    assert text(name, "/etc/subuid") + text(name, "/etc/subgid") == ""


@every_image
def test_nothing_listens_but_what_is_configured_here(name: str) -> None:
    assert set(configuration(name).get("ExposedPorts") or {}) == PORTS[name]
    assert [path for path in files(name) if DEFAULTS.fullmatch(path)] == []
    assert not configuration(name).get("Volumes")


@pytest.mark.parametrize("name", ["web", "proxy", "db"])
def test_there_is_no_compiler_and_no_pip(name: str) -> None:
    tools = re.compile(r"(.*-)?(gcc|cc|g\+\+|c\+\+|cpp|ld|as|make)(-\d+)?|pip\d?(\.\d+)?|wheel")
    modules = re.compile(r".*/((pip|setuptools|ensurepip|wheel)/__init__\.py|.*\.whl)")
    found = [*files(name).values(), *contents(name).ours]
    programs = [file.path for file in found if re.match(r"/(usr/|usr/local/|venv/)?s?bin/", file.path)]
    assert len(programs) > 100
    assert [path for path in programs if tools.fullmatch(path.rpartition("/")[2])] == []
    assert [file.path for file in found if modules.fullmatch(file.path)] == []


@every_image
def test_no_layer_holds_a_private_key_or_a_cluster(name: str) -> None:
    found = [file.path for layer in contents(name).layers for file in layer]
    assert len(found) > 1000
    assert contents(name).keys == []
    assert [path for path in found if path.endswith(("/PG_VERSION", "/pg_control", "snakeoil.key"))] == []
    assert [path for path in found if re.fullmatch(r"/(etc/ssl/private|run/secrets|srv/\w+|etc/ssh)/.+", path)] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_in_it_that_is_not_needed(name: str) -> None:
    """Nor in a layer of ours below; what Debian's own layer holds is at least removed."""
    found = [file for file in (*files(name).values(), *contents(name).ours) if file.kind != "directory"]
    assert [file.path for file in found if NEEDLESS.fullmatch(file.path) and WHITEOUT not in file.path] == []
    for machine in (file for layer in contents(name).layers for file in layer if file.path == "/etc/machine-id"):
        assert machine.size == 0


def test_the_application_belongs_to_root_and_nobody_else_can_write_it() -> None:
    found = [file for path, file in files("web").items() if path.startswith(("/app", "/venv"))]
    assert len(found) > 1000
    assert [file.path for file in found if file.uid != 0 or (file.mode & 0o022 and file.kind != "symbolic link")] == []
    assert [file.path for file in found if file.kind != "symbolic link" and not file.mode & 0o004] == []


@every_image
def test_bytecode_is_checked_by_nothing_that_changes(name: str) -> None:
    """Flags 1: valid whatever the time of the source is (PEP 552)."""
    found = [file for layer in contents(name).layers for file in layer if file.path.endswith(".pyc")]
    assert len(found) > 1000 or name not in ("web", "web-dev")
    assert [file.path for file in found if file.content and struct.unpack("<I", file.content[4:8])[0] != 1] == []


def test_the_static_files_are_collected_and_precompressed() -> None:
    build = "/app/static-build/"
    paths = json.loads(text("web", build + "staticfiles.json"))["paths"]
    stylesheet = build + paths["site.css"]
    small = {suffix: files("web")[stylesheet + suffix].size for suffix in (".gz", ".br")}
    assert small[".br"] < small[".gz"] < files("web")[stylesheet].size / 2


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
    added = installed(name) - (installed(parent) if parent else set())
    # Where no snapshot can be had, a build takes what the archive has by then and says so. That, and nothing else, may
    # differ: the same packages, in the versions that are newer today.
    assert {package for package, _version in added} == {package for package, _version in locked}
    moved = {package for package, _version in added - locked}
    if moved:
        outdated = subprocess.run(["bin/apt-lock", "--outdated"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert moved <= {word for line in outdated.stdout.splitlines() for word in line.split()}


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
