"""The bills of materials: they say what is in the images, and an image that is not what is locked gets none."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from images import licences, sbom
from tests.build.archives import Member, image
from tests.stack.containers import RELEASE, build_images, docker
from tests.stack.local import ROOT, copy_checkout
from tests.stack.needs import needs_docker

NAMES = ("base", "web", "proxy", "db")


# ------------------------------------------------------------------------------------------------- the real images


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each image, saved."""
    needs_docker()
    build_images()
    directory = tmp_path_factory.mktemp("archives")
    paths = {name: directory / f"{name}.tar" for name in NAMES}
    for name, path in paths.items():
        docker("save", "--output", str(path), f"slipway/{name}:{RELEASE}")
    return paths


def command(archives: dict[str, Path], output: Path, **environment: str) -> None:
    """Run the module on archives, as a release would."""
    pairs = [f"{name}={path}" for name, path in archives.items()]
    subprocess.run(
        [sys.executable, "-m", "images.sbom", "--output", str(output), *pairs],
        cwd=ROOT, env={**os.environ, "RELEASE": RELEASE, **environment}, check=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def output(archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bills of materials of the images are."""
    directory = tmp_path_factory.mktemp("sbom")
    command(archives, directory)
    return directory


@pytest.fixture(scope="module")
def documents(output: Path) -> dict[str, dict[str, Any]]:
    return {name: json.loads((output / f"{name}.cdx.json").read_text()) for name in NAMES}


def components(document: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The components of a type of purl, by name."""
    return {one["name"]: one for one in document["components"] if one["purl"].startswith(f"pkg:{kind}/")}


def licence_names(component: dict[str, Any]) -> set[str]:
    """The licences of a component, as ids, expressions or names."""
    return {
        entry.get("expression") or entry["license"].get("id") or entry["license"]["name"]
        for entry in component.get("licenses", [])
    }


def in_image(name: str, *command: str) -> str:
    """What a command in a container of an image prints."""
    options = ["--rm", "--network", "none", "--entrypoint", command[0]]
    return docker("run", *options, f"slipway/{name}:{RELEASE}", *command[1:])


@pytest.mark.parametrize("name", NAMES)
def test_the_document_fits_the_schema(name: str, output: Path) -> None:
    text = (output / f"{name}.cdx.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert json.loads(text)["specVersion"] == "1.6"
    # The validator does see faults.
    assert validator.validate_str(text.replace('"type": "library"', '"type": "libary"', 1)) is not None


@pytest.mark.parametrize("name", NAMES)
def test_the_debian_components_are_what_dpkg_says_is_installed(name: str, documents: dict[str, Any]) -> None:
    fields = "${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\n"
    installed = {tuple(line.split()) for line in in_image(name, "dpkg-query", "-W", "-f", fields).splitlines()}
    found = set()
    for component in components(documents[name], "deb").values():
        purl = PackageURL.from_string(component["purl"])
        qualifiers = dict(purl.qualifiers)
        assert (purl.namespace, qualifiers["distro"]) == ("debian", "debian-13")
        assert (component["name"], component["version"]) == (purl.name, purl.version)
        found.add((purl.name, purl.version, qualifiers["arch"], *qualifiers["upstream"].split("@")))
    assert found == installed
    assert len(found) > 70


def test_the_python_components_are_what_python_finds(documents: dict[str, Any]) -> None:
    script = (
        "import importlib.metadata as m; [print(d.metadata['Name'].lower().replace('_', '-'), d.version)"
        " for d in m.distributions()]"
    )
    installed = {tuple(line.split()) for line in in_image("web", "python", "-c", script).splitlines()}
    found = {(one["name"], one["version"]) for one in components(documents["web"], "pypi").values()}
    assert found == installed
    assert len(found) > 15
    assert [name for name in ("base", "proxy", "db") if components(documents[name], "pypi")] == []


@pytest.mark.parametrize("name", ["web", "proxy", "db"])
def test_locked_debian_packages_have_the_hash_of_their_deb(name: str, documents: dict[str, Any]) -> None:
    text = (ROOT / f"services/{name}/apt.lock").read_text()
    section = re.search(rf"^\[{name}( amd64)?\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    assert section
    checked = 0
    for package, version, _, digest in (line.split() for line in section[2].splitlines() if line):
        component = components(documents[name], "deb")[package]
        assert f"services/{name}/apt.lock [{name}" in str(component["properties"])
        if component["version"] == version:
            assert component["hashes"] == [{"alg": "SHA-256", "content": digest}]
            checked += 1
    assert checked


def test_python_packages_have_the_hashes_of_their_lock(documents: dict[str, Any]) -> None:
    text = (ROOT / "requirements/web.txt").read_text()
    for name, component in components(documents["web"], "pypi").items():
        part = re.search(rf"^{name}==(\S+)(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
        assert part, name
        (reference,) = component["externalReferences"]
        assert component["version"] == part[1]
        assert {one["content"] for one in reference["hashes"]} == set(re.findall(r"sha256:(\w{64})", part[2]))


@pytest.mark.parametrize("name", NAMES)
def test_no_component_lacks_a_licence(name: str, documents: dict[str, Any]) -> None:
    assert [one["name"] for one in documents[name]["components"] if not licence_names(one)] == []


@pytest.mark.parametrize(
    ("name", "package", "expected"),
    [
        ("web", "django", {"BSD-3-Clause"}),  # a License-Expression
        ("web", "packaging", {"Apache-2.0 OR BSD-2-Clause"}),
        ("web", "mdurl", {"MIT"}),  # a classifier
        ("web", "uwsgi", {"GPL-2.0-or-later"}),
        ("web", "libpython3.13", {"Python-2.0.1"}),  # by hand
        ("base", "libgcc-s1", {"GPL-3.0-or-later WITH GCC-exception-3.1"}),
        ("base", "hostname", {"GPL-2.0-only"}),  # a copyright file
        ("base", "zlib1g", {"Zlib"}),
        ("db", "pgbackrest", {"MIT"}),
        ("db", "libncursesw6", {"BSD-3-Clause", "MIT/X11", "X11"}),  # ... in a directory that is a link
        ("proxy", "openssl", {"Apache-2.0", "Artistic or GPL-1+"}),  # a choice, in its own words
    ],
)
def test_licences_are_those_that_the_packages_name(
    name: str, package: str, expected: set[str], documents: dict[str, Any]
) -> None:
    (component,) = [one for one in documents[name]["components"] if one["name"] == package]
    assert licence_names(component) == expected


def test_what_needs_what_is_told(documents: dict[str, Any]) -> None:
    def needs(name: str, package: str) -> set[str]:
        known = {one["bom-ref"]: one["name"] for one in documents[name]["components"]}
        references = {one: reference for reference, one in known.items()} | {"image": f"slipway/{name}"}
        (entry,) = [one for one in documents[name]["dependencies"] if one["ref"] == references[package]]
        return {known[reference] for reference in entry.get("dependsOn", [])}

    assert {"asgiref", "sqlparse"} == needs("web", "django")
    assert {"libpq5", "postgresql-client-17", "postgresql-common"} <= needs("db", "postgresql-17")
    # By way of what it provides: libc6 is asked for in an alternative, perlapi by no package of that name.
    assert "perl-base" in needs("db", "libtext-charwidth-perl")
    assert {"django-tasks-db", "uwsgi", "psycopg2-binary"} <= needs("web", "image")
    assert "asgiref" not in needs("web", "image")


@pytest.mark.parametrize("name", NAMES)
def test_the_document_says_which_image_it_is_of(name: str, documents: dict[str, Any]) -> None:
    metadata = documents[name]["metadata"]
    assert (metadata["component"]["name"], metadata["component"]["version"]) == (f"slipway/{name}", RELEASE)
    inspected = json.loads(docker("image", "inspect", f"slipway/{name}:{RELEASE}"))[0]
    properties = {one["name"]: one["value"] for one in metadata["component"]["properties"]}
    assert inspected["Id"] in (properties["slipway:digest"], properties["slipway:config"])
    assert metadata["timestamp"].replace("+00:00", "Z") == inspected["Created"]
    assert len({document["serialNumber"] for document in documents.values()}) == len(NAMES)


def test_the_same_images_give_the_same_bytes(archives: dict[str, Path], output: Path, tmp_path: Path) -> None:
    command(archives, tmp_path, PYTHONHASHSEED="1", TZ="Asia/Shanghai", SOURCE_DATE_EPOCH="1")
    for name in NAMES:
        file = f"{name}.cdx.json"
        assert (tmp_path / file).read_bytes() == (output / file).read_bytes()


def test_make_sbom_builds_and_writes_all_four(output: Path, tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path)
    environment = {**os.environ, "RELEASE": RELEASE, "VENV": str(Path(sys.prefix))}
    done = subprocess.run(["make", "sbom"], cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    written = {path.name: path.read_bytes() for path in (checkout / "build/sbom").iterdir()}
    assert written == {path.name: path.read_bytes() for path in output.iterdir()}
    # The saved images are gone.
    assert [path.name for path in (checkout / "build").iterdir() if path.name.startswith("sbom.")] == []


# ------------------------------------------------------------------------------ small images, with what is not locked

DIGEST = "a" * 64
COPYRIGHT = b"""Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: somebody
License: Expat
"""


def stanza(name: str, version: str, *more: str, status: str = "install ok installed") -> str:
    lines = [f"Package: {name}", f"Status: {status}", "Architecture: amd64", f"Version: {version}", *more]
    return "\n".join(lines) + "\n"


def debian(*stanzas: str) -> list[Member]:
    """A layer with packages, and a copyright file for each."""
    names = [text.split("\n")[0].removeprefix("Package: ") for text in stanzas]
    return [
        Member("usr/lib/os-release", b'ID=debian\nVERSION_ID="13"\n'),
        Member("var/lib/dpkg/status", "\n".join(stanzas).encode()),
        *(Member(f"usr/share/doc/{name}/copyright", COPYRIGHT) for name in names),
    ]


def wheel(name: str, version: str, *lines: str, where: str = "venv/lib/python3.13/site-packages") -> Member:
    """The metadata of a Python package."""
    text = "\n".join([f"Name: {name}", f"Version: {version}", *(lines or ["License-Expression: MIT"]), "", ""])
    return Member(f"{where}/{name}-{version}.dist-info/METADATA", text.encode())


LIBC = stanza("libc6", "2.41-12")
NGINX = stanza("nginx", "1.26.3-3", "Depends: libc6 (>= 2.38)")


def checkout(
    path: Path, lock: str = f"[web]\nnginx 1.26.3-3 amd64 {DIGEST}\n", python: str = "", hand: str = ""
) -> Path:
    """A checkout with nothing but locks."""
    (path / "services/web").mkdir(parents=True, exist_ok=True)
    (path / "requirements").mkdir(exist_ok=True)
    (path / "services/web/apt.lock").write_text(lock)
    (path / "requirements/web.txt").write_text(python or f"Django==5.2.1 \\\n    --hash=sha256:{DIGEST}\n")
    (path / "services/licences").write_text(hand)
    return path


def fitting(path: Path, *packages: str, more: Iterable[Member] = (), **config: Any) -> Path:
    """An image of the base (libc6), of these Debian packages, and of Django unless `more` has Python packages."""
    upper = [*debian(LIBC, *packages), *(more or [wheel("Django", "5.2.1")])]
    return image(path / "web.tar", debian(LIBC), upper, **config)


def answer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, archive: Path, locks: Path | None = None
) -> tuple[int, str, list[str]]:
    """The status, what was printed, and the lines of what was complained of; the document is in tmp_path/out."""
    arguments = ["--output", str(tmp_path / "out"), "--checkout", str(locks or checkout(tmp_path)), f"web={archive}"]
    status = sbom.main(arguments)
    said = capsys.readouterr()
    assert (status == 0) == (tmp_path / "out/web.cdx.json").exists()
    assert list((tmp_path / "out").glob("*.new")) == []
    return status, said.out, said.err.splitlines()


def document_in(tmp_path: Path) -> dict[str, Any]:
    """The document that was written."""
    loaded: dict[str, Any] = json.loads((tmp_path / "out/web.cdx.json").read_text())
    return loaded


def one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, archive: Path, locks: Path | None = None) -> str:
    """The one line of an image that gets no document."""
    status, _, lines = answer(capsys, tmp_path, archive, locks)
    assert status == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith("sbom: ")
    return lines[0]


Capture = pytest.CaptureFixture[str]


def test_an_image_as_locked_gets_its_document(capsys: Capture, tmp_path: Path) -> None:
    status, said, lines = answer(capsys, tmp_path, fitting(tmp_path, NGINX))
    assert (status, lines) == (0, [])
    assert "3 packages" in said
    document = document_in(tmp_path)
    assert {one["name"] for one in document["components"]} == {"libc6", "nginx", "django"}


def test_a_locked_package_that_is_not_installed_is_named(capsys: Capture, tmp_path: Path) -> None:
    line = one_line(capsys, tmp_path, fitting(tmp_path))
    assert "services/web/apt.lock [web] locks nginx 1.26.3-3, which is not installed" in line
    assert "make lock" in line


def test_an_installed_package_that_is_not_locked_is_named(capsys: Capture, tmp_path: Path) -> None:
    line = one_line(capsys, tmp_path, fitting(tmp_path, NGINX, stanza("netcat", "1.0-1")))
    assert "Debian package netcat 1.0-1" in line
    assert "make lock" in line


def test_a_package_of_the_base_that_is_gone_is_named(capsys: Capture, tmp_path: Path) -> None:
    archive = image(tmp_path / "a.tar", debian(LIBC), [*debian(NGINX), wheel("Django", "5.2.1")])
    assert "the image of pins.env locks libc6 2.41-12, which is not installed" in one_line(capsys, tmp_path, archive)


def test_what_is_removed_but_for_its_configuration_is_not_installed(capsys: Capture, tmp_path: Path) -> None:
    removed = stanza("netcat", "1.0-1", status="deinstall ok config-files")
    assert answer(capsys, tmp_path, fitting(tmp_path, NGINX, removed))[0] == 0
    assert "netcat" not in (tmp_path / "out/web.cdx.json").read_text()


def test_another_version_of_debian_is_listed_and_the_document_says_what_is_installed(
    capsys: Capture, tmp_path: Path
) -> None:
    status, said, lines = answer(capsys, tmp_path, fitting(tmp_path, stanza("nginx", "1.26.3-4")))
    assert (status, lines) == (0, [])
    assert re.search(r"drift: +web +nginx +1\.26\.3-3 +1\.26\.3-4 +services/web/apt.lock \[web\]", said)
    nginx = components(document_in(tmp_path), "deb")["nginx"]
    assert nginx["version"] == "1.26.3-4"
    # The hash in the lock is another version's.
    assert "hashes" not in nginx


def test_another_version_of_debian_is_refused_when_strict(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRICT", "1")
    assert "1 Debian packages" in one_line(capsys, tmp_path, fitting(tmp_path, stanza("nginx", "1.26.3-4")))


def test_another_version_of_python_is_always_refused(capsys: Capture, tmp_path: Path) -> None:
    line = one_line(capsys, tmp_path, fitting(tmp_path, NGINX, more=[wheel("Django", "5.2.0")]))
    assert "requirements/web.txt locks django 5.2.1, and 5.2.0 is installed" in line


def test_a_python_package_is_found_wherever_it_is(capsys: Capture, tmp_path: Path) -> None:
    more = [wheel("Django", "5.2.1"), wheel("smuggled", "1", where="app/vendor")]
    line = one_line(capsys, tmp_path, fitting(tmp_path, NGINX, more=more))
    assert "Python package smuggled 1 (/app/vendor)" in line
    more = [wheel("Django", "5.2.1"), wheel("django", "5.2.1", where="app")]
    assert "installed twice" in one_line(capsys, tmp_path, fitting(tmp_path, NGINX, more=more))


def test_debians_own_python_packages_are_part_of_its_packages(capsys: Capture, tmp_path: Path) -> None:
    more = [wheel("Django", "5.2.1"), wheel("six", "1", where="usr/lib/python3/dist-packages")]
    assert answer(capsys, tmp_path, fitting(tmp_path, NGINX, more=more))[0] == 0
    assert "pypi/six" not in (tmp_path / "out/web.cdx.json").read_text()


def test_a_locked_python_package_that_is_not_installed_is_named(capsys: Capture, tmp_path: Path) -> None:
    lines = "".join(f"{name}==5.2.1 --hash=sha256:{DIGEST}\n" for name in ("Django", "nh3"))
    line = one_line(capsys, tmp_path, fitting(tmp_path, NGINX), checkout(tmp_path, python=lines))
    assert "requirements/web.txt locks nh3 5.2.1, which is not installed" in line


def test_a_lock_for_several_architectures_is_read_for_the_images(capsys: Capture, tmp_path: Path) -> None:
    lock = f"[web amd64]\nnginx 1.26.3-3 amd64 {DIGEST}\n\n[web arm64]\nnginx 1.26.3-3+b1 arm64 {'b' * 64}\n"
    status, said, lines = answer(capsys, tmp_path, fitting(tmp_path, NGINX), checkout(tmp_path, lock))
    assert (status, lines) == (0, [])
    assert "drift" not in said
    text = (tmp_path / "out/web.cdx.json").read_text()
    assert DIGEST in text
    assert "services/web/apt.lock [web amd64]" in text


def test_a_lock_of_another_architecture_alone_is_named(capsys: Capture, tmp_path: Path) -> None:
    lock = f"[web arm64]\nnginx 1.26.3-3 arm64 {DIGEST}\n"
    line = one_line(capsys, tmp_path, fitting(tmp_path, NGINX), checkout(tmp_path, lock))
    assert "services/web/apt.lock has no section [web amd64]" in line


def test_hashes_of_another_architecture_are_nobodys(capsys: Capture, tmp_path: Path) -> None:
    lock = f"[web]\nnginx 1.26.3-3 arm64 {DIGEST}\n"
    assert answer(capsys, tmp_path, fitting(tmp_path, NGINX), checkout(tmp_path, lock))[0] == 0
    assert "hashes" not in components(document_in(tmp_path), "deb")["nginx"]


def test_the_base_is_compared_with_its_lock_where_there_is_one(capsys: Capture, tmp_path: Path) -> None:
    locks = checkout(tmp_path)
    (tmp_path / "services/base").mkdir()
    base = tmp_path / "services/base/apt.lock"
    base.write_text(f"[base amd64]\nlibc6 2.41-12 amd64 {'c' * 64}\n")
    assert answer(capsys, tmp_path, fitting(tmp_path, NGINX), locks)[0] == 0
    document = document_in(tmp_path)
    assert components(document, "deb")["libc6"]["hashes"][0]["content"] == "c" * 64
    (tmp_path / "out/web.cdx.json").unlink()
    base.write_text(f"[base amd64]\nlibc6 2.41-12 amd64 {DIGEST}\nbash 5 amd64 {DIGEST}\n")
    line = one_line(capsys, tmp_path, fitting(tmp_path, NGINX), locks)
    assert "services/base/apt.lock [base amd64] locks bash 5, which is not installed" in line


def test_a_package_without_a_named_licence_is_refused(capsys: Capture, tmp_path: Path) -> None:
    prose = [Member("usr/share/doc/nginx/copyright", b"Do with it as you please.\n"), wheel("Django", "5.2.1")]
    line = one_line(capsys, tmp_path, fitting(tmp_path, NGINX, more=prose))
    assert "/usr/share/doc/nginx/copyright" in line
    assert "services/licences" in line


def test_a_python_package_without_a_licence_is_refused(capsys: Capture, tmp_path: Path) -> None:
    more = [wheel("Django", "5.2.1", "Summary: a framework")]
    assert "the metadata of django" in one_line(capsys, tmp_path, fitting(tmp_path, NGINX, more=more))
    locks = checkout(tmp_path, hand="django  BSD-3-Clause  # a file LICENSE\n")
    assert answer(capsys, tmp_path, fitting(tmp_path, NGINX, more=more), locks)[0] == 0
    assert licence_names(components(document_in(tmp_path), "pypi")["django"]) == {"BSD-3-Clause"}


def test_a_licence_can_be_named_by_hand(capsys: Capture, tmp_path: Path) -> None:
    source = stanza("nginx", "1.26.3-3", "Source: nginx-source (1.26.3-2)")
    prose = [Member("usr/share/doc/nginx/copyright", b"Do with it as you please.\n"), wheel("Django", "5.2.1")]
    locks = checkout(tmp_path, hand="# by hand\n\nnginx-source  WTFPL OR MIT  # in prose\n")
    assert answer(capsys, tmp_path, fitting(tmp_path, source, more=prose), locks)[0] == 0
    nginx = components(document_in(tmp_path), "deb")["nginx"]
    assert nginx["licenses"] == [{"expression": "WTFPL OR MIT", "acknowledgement": "concluded"}]
    assert "upstream=nginx-source%401.26.3-2" in nginx["purl"]


@pytest.mark.parametrize("line", ["nginx MIT", "nginx  # no licence", "nginx  Made-Up-1.0  # why", "nginx"])
def test_a_malformed_line_of_licences_is_named(capsys: Capture, tmp_path: Path, line: str) -> None:
    locks = checkout(tmp_path, hand=f"# by hand\n{line}\n")
    assert "services/licences line 2 is not" in one_line(capsys, tmp_path, fitting(tmp_path, NGINX), locks)


@pytest.mark.parametrize(
    ("lock", "python", "named"),
    [
        ("[web]\nnginx 1.26.3-3\n", "", "services/web/apt.lock line 2"),
        (f"[web]\nnginx 1.26.3-3 amd64 {'a' * 63}\n", "", "services/web/apt.lock line 2"),
        (f"[web]\nnginx 1.26.3-3 amd64 {'a' * 65}\n", "", "services/web/apt.lock line 2"),
        ("", "", "services/web/apt.lock has no section"),
        (f"[web]\nnginx 1.26.3-3 amd64 {DIGEST}\n", "Django==5.2.1\n", "requirements/web.txt line 1"),
        (
            f"[web]\nnginx 1.26.3-3 amd64 {DIGEST}\n",
            f"Django>=5 --hash=sha256:{DIGEST}\n",
            "requirements/web.txt line 1",
        ),
        (f"[web]\nnginx 1.26.3-3 amd64 {DIGEST}\n", "Django = = 5\n", "requirements/web.txt line 1"),
    ],
)
def test_a_malformed_lock_is_named(capsys: Capture, tmp_path: Path, lock: str, python: str, named: str) -> None:
    line = one_line(capsys, tmp_path, fitting(tmp_path, NGINX), checkout(tmp_path, lock, python))
    assert named in line
    assert "make lock" in line


def test_a_lock_that_is_not_there_is_named(capsys: Capture, tmp_path: Path) -> None:
    locks = checkout(tmp_path)
    (locks / "requirements/web.txt").unlink()
    assert "requirements/web.txt cannot be read" in one_line(capsys, tmp_path, fitting(tmp_path, NGINX), locks)


def test_a_damaged_archive_is_named(capsys: Capture, tmp_path: Path) -> None:
    path = fitting(tmp_path, NGINX)
    content = path.read_bytes()
    assert b"Package: nginx" in content
    path.write_bytes(content.replace(b"Package: nginx", b"Package: xginn"))
    assert "is damaged: the content of sha256:" in one_line(capsys, tmp_path, path)


@pytest.mark.parametrize("locked", [False, True])
def test_an_image_without_packages_is_none_of_debians(capsys: Capture, tmp_path: Path, locked: bool) -> None:
    path = image(tmp_path / "web.tar", [Member("bin/sh", b"#!")])
    if locked:
        base = tmp_path / "services/base/apt.lock"
        base.parent.mkdir(parents=True)
        base.write_text(f"[base amd64]\nlibc6 2.41-12 amd64 {DIGEST}\nbash 5 amd64 {DIGEST}\n")
    assert "it is no image of Debian" in one_line(capsys, tmp_path, path)


def test_the_time_is_the_images_or_else_that_of_the_sources(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    path = fitting(tmp_path, NGINX, created=None)
    assert "set SOURCE_DATE_EPOCH" in one_line(capsys, tmp_path, path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    assert answer(capsys, tmp_path, path)[0] == 0
    assert document_in(tmp_path)["metadata"]["timestamp"] == "2026-09-21T14:13:20+00:00"


def test_nothing_is_written_when_one_of_the_images_is_wrong(capsys: Capture, tmp_path: Path) -> None:
    old = tmp_path / "out/web.cdx.json"
    old.parent.mkdir()
    old.write_text("old")
    base = image(tmp_path / "base.tar", debian(LIBC), debian(LIBC, NGINX))
    pairs = [f"web={fitting(tmp_path, NGINX)}", f"base={base}"]
    status = sbom.main(["--output", str(old.parent), "--checkout", str(checkout(tmp_path)), *pairs])
    assert status == 1
    assert "base: the Debian package nginx" in capsys.readouterr().err
    assert [path.name for path in old.parent.iterdir()] == ["web.cdx.json"]
    assert old.read_text() == "old"


def test_serial_numbers_follow_the_image(capsys: Capture, tmp_path: Path) -> None:
    numbers = []
    for content in (b"1", b"1", b"2"):
        more = [wheel("Django", "5.2.1"), Member("app/file", content)]
        assert answer(capsys, tmp_path, fitting(tmp_path, NGINX, more=more))[0] == 0
        text = (tmp_path / "out/web.cdx.json").read_text()
        numbers.append((json.loads(text)["serialNumber"], hashlib.sha256(text.encode()).hexdigest()))
        (tmp_path / "out/web.cdx.json").unlink()
    assert numbers[0] == numbers[1]
    assert numbers[0][0] != numbers[2][0]


# ------------------------------------------------------------------------------------------------- licences, read


def ids(found: Iterable[Any]) -> list[str]:
    return [getattr(one, "value", None) or one.id or f"({one.name})" for one in found]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (["Expat"], ["MIT"]),
        (["GPL-2+", "GPL-2", "GPL-2.0+", "LGPL-2.1", "GPL-3"], [
            "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "LGPL-2.1-only",
        ]),
        (["GFDL-NIV-1.3+"], ["GFDL-1.3-no-invariants-or-later"]),
        (["BSD-3-clause", "BSD-3-Clause"], ["BSD-3-Clause"]),
        (["LGPL-2.1+ and Expat", "Apache-2"], ["Apache-2.0", "LGPL-2.1-or-later", "MIT"]),
        (["GPL-1+ or Artistic, and Expat"], ["(GPL-1+ or Artistic, and Expat)"]),
        (["GPL-3+ with Bison exception", "public-domain"], ["(GPL-3+ with Bison exception)", "(public-domain)"]),
    ],
)  # fmt: skip
def test_short_names_become_ids_where_they_are_exact(terms: list[str], expected: list[str]) -> None:
    paragraphs = [f"Files: f{number}\nCopyright: me\nLicense: {one}\n" for number, one in enumerate(terms)]
    text = "\n".join(["Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n", *paragraphs])
    assert ids(licences.of_copyright(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is GPL: see /usr/share/common-licenses/GPL-3.", ["(GPL-3)"]),
        ("Under /usr/share/common-licenses/Apache-2.0 and\n/usr/share/common-licenses/GPL", ["Apache-2.0", "(GPL)"]),
        ("Do as you like.", []),
        ("", []),
    ],
)
def test_prose_is_searched_for_common_licences(text: str, expected: list[str]) -> None:
    assert sorted(ids(licences.of_copyright(text))) == sorted(expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("License-Expression", "MIT"), ("License", "other")], ["MIT"]),
        ([("License-Expression", "MIT OR Apache-2.0")], ["MIT OR Apache-2.0"]),
        ([("License", "bsd-3-clause")], ["BSD-3-Clause"]),
        ([("License", "MIT-0"), ("Classifier", "License :: OSI Approved :: MIT License")], ["MIT-0"]),
        ([("License", "BSD"), ("Classifier", "License :: OSI Approved :: BSD License")], ["(BSD)"]),
        ([("License", "MIT License"), ("Classifier", "License :: OSI Approved :: MIT License")], ["MIT"]),
        ([("Classifier", "License :: OSI Approved :: BSD License")], ["(BSD License)"]),
        ([("License", "A Licence\n\nof many lines")], ["(A Licence)"]),
        ([("License", "UNKNOWN"), ("Classifier", "License :: OSI Approved")], []),
        ([("Classifier", "Framework :: Django")], []),
    ],
)
def test_metadata_names_licences_in_the_order_of_exactness(fields: list[tuple[str, str]], expected: list[str]) -> None:
    metadata = Message()
    for name, value in fields:
        metadata[name] = value
    assert ids(licences.of_metadata(metadata)) == expected
