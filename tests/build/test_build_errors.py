"""What bin/build says when a step that installs from a lock fails: one line, with the file, the package and the mend."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stack.containers import RELEASE, build_images
from tests.stack.local import copy_checkout
from tests.stack.needs import lacking, needs_docker


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, of which all steps but those that a test changes are in the builder's cache."""
    needs_docker()
    build_images()
    return copy_checkout(tmp_path)


def build(checkout: Path, *images: str, **environment: str) -> str:
    """Build images, which must fail with one line; that line."""
    done = subprocess.run(
        ["bin/build", *images],
        cwd=checkout,
        env=os.environ | {"RELEASE": f"{RELEASE}-broken"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def seal(lock: Path) -> None:
    """Write the checksum of a lock anew, so that only the step that installs from it can find what is wrong."""
    lines = lock.read_text().splitlines(keepends=True)
    content = hashlib.sha256("".join(lines[:2] + lines[3:]).encode()).hexdigest()
    lock.write_text("".join([*lines[:2], f"# content: sha256:{content}\n", *lines[3:]]))


def only_sqlparse(checkout: Path, digest: str = "") -> None:
    """Make sqlparse all that the image asks for, with these hashes or its own."""
    lock = checkout / "requirements/web.txt"
    found = re.search(r"(?m)^(sqlparse==\S+ \\\n)((?:    --hash.*\n)+)", lock.read_text())
    assert found
    asked = hashlib.sha256(b"python 3.11\nsqlparse\n").hexdigest()
    hashes = f"    --hash=sha256:{digest}\n" if digest else found[2]
    lock.write_text(f"# with Python 3.11: for a test\n# requires: sha256:{asked}\n# content:\n{found[1]}{hashes}")
    (checkout / "requirements/web.in").write_text("sqlparse\n")
    seal(lock)


def test_a_tampered_hash_of_a_python_package_is_one_line(checkout: Path) -> None:
    only_sqlparse(checkout, "0" * 64)
    line = build(checkout, "web")
    if "cannot be reached" in line:
        lacking("no package index can be reached from a build")
    assert re.match(
        r"build: what the package index gave for sqlparse==\S+ has not the hash in requirements/web.txt: "
        r"do not trust that index, or run `make lock` \(all of it: build/build.log\)\n",
        line,
    )


def test_an_index_that_cannot_be_trusted_is_one_line(checkout: Path, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        lacking("openssl is not installed")
    authority = tmp_path / "nobody.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=nobody"),
            *("-keyout", str(tmp_path / "key"), "-out", str(authority)),
        ],
        check=True,
        capture_output=True,
    )
    only_sqlparse(checkout)
    line = build(checkout, "web", CA_BUNDLE=str(authority))
    assert "build: the package index cannot be reached" in line
    assert "check the network, and that CA_BUNDLE names its authorities" in line


def test_a_tampered_hash_of_a_debian_package_is_one_line(checkout: Path) -> None:
    lock = checkout / "services/proxy/apt.lock"
    lock.write_text(re.sub(r"(?m)^(netbase \S+ all) \S+", r"\1 " + "0" * 64, lock.read_text()))
    lock.write_text(re.sub(r"(?m)^(nginx \S+ \S+) \S+", r"\1 " + "0" * 64, lock.read_text()))
    seal(lock)
    line = build(checkout, "proxy")
    if "cannot be had" in line:
        lacking("Debian's archive cannot be reached from a build")
    assert re.match(
        r"build: nginx \S+ in the archive is not the package that services/proxy/apt.lock locks in \[proxy \w+\] "
        r"\(its SHA-256 differs\): do not trust the archive, or run `make lock` \(all of it: build/build.log\)\n",
        line,
    )


def test_a_line_that_a_debian_lock_lacks_is_one_line(checkout: Path) -> None:
    lock = checkout / "services/proxy/apt.lock"
    lock.write_text(re.sub(r"(?m)^nginx-common .*\n", "", lock.read_text()))
    seal(lock)
    line = build(checkout, "proxy")
    if "cannot be had" in line:
        lacking("Debian's archive cannot be reached from a build")
    assert re.match(
        r"build: services/proxy/apt.lock, section \[proxy \w+\] does not list what apt installs \(nginx-common \S+;\): "
        r"run `make lock`",
        line,
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("requirements/web.txt", "django==", "django>=", "line {line}: django is not pinned with =="),
        ("requirements/web.txt", "with Python 3.11", "with Python 3.12", "was locked with Python 3.12, 3.11 is needed"),
        ("requirements/build.txt", "--hash=sha256:....", "--hash=sha256:0000", "was edited by hand"),
        ("services/db/apt.lock", "(?m)^pgbackrest .*\n", "", "lacks pgbackrest in [db amd64]"),
    ],
)
def test_a_lock_that_is_not_whole_is_refused_before_anything_is_built(
    tmp_path: Path, name: str, old: str, new: str, said: str
) -> None:
    needs_docker()
    checkout = copy_checkout(tmp_path)
    text = (checkout / name).read_text()
    found = re.search(old, text)
    assert found
    (checkout / name).write_text(re.sub(old, new, text, count=1))
    line = text[: found.start()].count("\n") + 1
    assert build(checkout) == f"{name} {said.format(line=line)}: run `make lock`\n"
    assert not (checkout / "build/build.log").exists()
