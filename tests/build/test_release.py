"""make release, make verify-release and make prod-up RELEASE=…: a release is whole, is what it says, and runs anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from images.compare import digests
from images.oci import Image
from images.release import IMAGES, pack
from tests.build.test_verify import commit
from tests.stack.containers import DockerStack, docker
from tests.stack.local import ROOT, copy_checkout
from tests.stack.needs import lacking, needs_docker

VERSION = "7.7.7-test"


@dataclass(frozen=True)
class Made:
    """A release, the checkout that it was made from, and the key that signed it."""

    checkout: Path
    directory: Path
    key: Path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a checkout, with the virtual environment of this one."""
    kept = {name: value for name, value in os.environ.items() if name not in ("RELEASE", "STRICT", "MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=checkout,
        env=kept | {"VENV": os.environ.get("VENV") or str(ROOT / ".venv")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )


def error(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command wrote, besides make's own and the engine's."""
    assert done.returncode != 0, done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("make: ***", "engine: "))]
    assert len(lines) == 1, done.stderr
    return lines[0]


def keygen(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "releases", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A signed release. Its images come from the builder's cache; that they would come out the same is verify's matter."""
    needs_docker()
    checkout = copy_checkout(tmp_path_factory.mktemp("release") / "checkout")
    commit(checkout)
    verified = checkout / "build/verified"
    verified.mkdir(parents=True)
    names = ("base", *IMAGES)
    environment = {**os.environ, "ARCHIVES": str(verified), "RELEASE": "verify"}
    subprocess.run(["bin/build", *names], cwd=checkout, env=environment, check=True, capture_output=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True).stdout
    about: dict[str, Any] = {
        "commit": head.strip(),
        "modified": False,
        "source_date_epoch": 1,
        "strict": False,
        "base": {"image": "debian", "digest": "sha256:" + "0" * 64},
        **{name: "x" for name in ("builder", "docker", "buildx")},
    }
    about["images"] = {}
    for name in names:
        with Image(verified / f"{name}.tar") as image:
            about["images"][name] = digests(image)
    (checkout / "build/digests.json").write_text(json.dumps(about, indent=2))
    key = keygen(checkout.parent / "key")
    done = make(checkout, "release", f"VERSION={VERSION}", f"KEY={key}")
    assert done.returncode == 0, done.stdout + done.stderr
    return Made(checkout, checkout / f"build/release-{VERSION}", key)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """A copy of the release to spoil. The files are links: replace them, never write into them."""
    return Path(shutil.copytree(made.directory, tmp_path / "copy", copy_function=os.link))


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def check(release: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    return make(ROOT, "verify-release", f"RELEASE={release}", *(f"{name}={value}" for name, value in variables.items()))


def sum_again(release: Path) -> None:
    """What somebody would do who can write to the release but has no key."""
    files = sorted(path for path in release.rglob("*") if path.is_file() and not path.name.startswith("SHA256SUMS"))
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(release)}\n" for path in files]
    replace(release / "SHA256SUMS", "".join(lines).encode())


def test_it_holds_the_images_and_all_that_says_what_they_are(made: Made) -> None:
    files = {path.relative_to(made.directory).as_posix() for path in made.directory.rglob("*") if path.is_file()}
    parts = {f"images/{name}.tar" for name in IMAGES} | {f"sbom/{name}.cdx.json" for name in IMAGES}
    parts |= {"digests.json", "provenance.json", "SHA256SUMS", "SHA256SUMS.sig", f"slipway-{VERSION}.tar.gz"}
    assert files == parts
    with tarfile.open(made.directory / f"slipway-{VERSION}.tar.gz") as source:
        assert f"slipway-{VERSION}/Makefile" in source.getnames()
    written = json.loads((made.directory / "digests.json").read_text())
    assert written["version"] == VERSION
    assert set(written["images"]) == set(IMAGES)
    for name in IMAGES:
        with Image(made.directory / f"images/{name}.tar") as image:
            assert written["images"][name] == digests(image)
        bill = json.loads((made.directory / f"sbom/{name}.cdx.json").read_text())
        assert bill["metadata"]["component"]["version"] == VERSION


def test_the_provenance_names_what_was_made_and_from_what(made: Made) -> None:
    statement = json.loads((made.directory / "provenance.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    for name in IMAGES:
        with Image(made.directory / f"images/{name}.tar") as image:
            assert f"sha256:{subjects[f'slipway/{name}:{VERSION}']}" == image.digest
        content = (made.directory / f"images/{name}.tar").read_bytes()
        assert subjects[f"images/{name}.tar"] == hashlib.sha256(content).hexdigest()
    definition = statement["predicate"]["buildDefinition"]
    materials = {material["name"]: material["digest"] for material in definition["resolvedDependencies"]}
    assert materials["source"]["gitCommit"] == definition["externalParameters"]["commit"]
    for lock in ("pins.env", "requirements/web.txt", "services/db/apt.lock", "services/base/apt.lock"):
        assert materials[lock]["sha256"] == hashlib.sha256((made.checkout / lock).read_bytes()).hexdigest()
    assert set(statement["predicate"]["runDetails"]) == {"builder", "metadata"}


def test_what_is_whole_and_signed_is_accepted(made: Made) -> None:
    done = check(made.directory, PUBLIC_KEY=f"{made.key}.pub")
    assert done.returncode == 0, done.stderr
    assert "is whole" in done.stdout
    assert "signed by SHA256:" in done.stdout
    assert "not checked" not in done.stdout
    assert "whose key that is was not checked" in check(made.directory).stdout


def test_a_release_without_a_key_says_that_it_is_not_signed(copy: Path) -> None:
    (copy / "SHA256SUMS.sig").unlink()
    done = check(copy)
    assert done.returncode == 0
    assert "not signed" in done.stdout


def test_a_byte_that_changed_is_found(copy: Path) -> None:
    archive = copy / "images/db.tar"
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    replace(archive, bytes(content))
    assert error(check(copy)) == f"verify-release: {copy}/images/db.tar is damaged or was changed: copy the release again"


def test_a_cut_archive_is_found(copy: Path) -> None:
    archive = copy / "images/web.tar"
    replace(archive, archive.read_bytes()[:100_000])
    assert "images/web.tar is damaged" in error(check(copy))


def test_a_file_too_few_or_too_many_is_found(copy: Path) -> None:
    stray = copy / "images/more.tar"
    stray.touch()
    assert f"{stray} is no part of the release" in error(check(copy))
    stray.unlink()
    (copy / "sbom/web.cdx.json").unlink()
    assert "sbom/web.cdx.json is missing" in error(check(copy))
    (copy / "SHA256SUMS").unlink()
    assert "SHA256SUMS cannot be read" in error(check(copy))


def test_sums_that_were_made_again_do_not_match_the_signature(copy: Path) -> None:
    replace(copy / "provenance.json", b"{}")
    sum_again(copy)
    assert "SHA256SUMS.sig is no signature of this release: do not run it" in error(check(copy))


def test_the_signature_of_another_key_is_refused(made: Made, copy: Path, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other")
    (copy / "SHA256SUMS.sig").unlink()
    sums = copy / "SHA256SUMS"
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", other, "-n", "slipway-release", sums], check=True)
    assert "is by another key (SHA256:" in error(check(copy, PUBLIC_KEY=f"{made.key}.pub"))
    assert check(copy, PUBLIC_KEY=f"{other}.pub").returncode == 0


def test_a_signature_that_is_asked_for_must_be_there(made: Made, copy: Path) -> None:
    (copy / "SHA256SUMS.sig").unlink()
    assert "has no signature (SHA256SUMS.sig)" in error(check(copy, PUBLIC_KEY=f"{made.key}.pub"))


def test_an_archive_of_which_nothing_is_said_is_refused(copy: Path) -> None:
    """Another image under the name of the proxy, all sums made anew, and no signature."""
    (copy / "SHA256SUMS.sig").unlink()
    said = json.loads((copy / "digests.json").read_text())
    del said["images"]["proxy"]
    replace(copy / "digests.json", json.dumps(said, indent=2).encode())
    sum_again(copy)
    assert "of which digests.json says nothing" in error(check(copy))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which release? make verify-release RELEASE="),
        (["RELEASE=/nowhere"], "/nowhere is no directory"),
        (["RELEASE=docs"], "docs/SHA256SUMS cannot be read: this is no release"),
    ],
)
def test_what_is_no_release_is_said_to_be_none(arguments: list[str], said: str) -> None:
    assert said in error(make(ROOT, "verify-release", *arguments))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which version? make release VERSION=1.2.0"),
        (["VERSION=a b"], "VERSION=a b is no tag of an image"),
        ([f"VERSION={VERSION}"], "is there, and a release is never overwritten"),
        (["VERSION=1", "KEY=/nowhere"], "KEY=/nowhere cannot be read"),
        (["VERSION=1", "KEY=Makefile"], "KEY=Makefile is no SSH key"),
    ],
)
def test_a_release_that_cannot_be_made_is_one_line_and_leaves_nothing(
    made: Made, arguments: list[str], said: str
) -> None:
    before = sorted((made.checkout / "build").iterdir())
    assert said in error(make(made.checkout, "release", *arguments))
    assert sorted((made.checkout / "build").iterdir()) == before


def test_what_is_not_committed_is_not_released(made: Made) -> None:
    stray = made.checkout / "services/web/stray.py"
    stray.touch()
    try:
        assert "changes that are not committed (services/web/stray.py)" in error(make(made.checkout, "release", "VERSION=1"))
    finally:
        stray.unlink()


def test_an_archive_that_is_not_the_verified_one_is_not_released(made: Made) -> None:
    verified = made.checkout / "build/verified"
    (verified / "db.tar").rename(verified / "real.tar")
    shutil.copy(verified / "proxy.tar", verified / "db.tar")
    try:
        done = make(made.checkout, "release", "VERSION=1")
        assert done.returncode != 0
        assert not (made.checkout / "build/release-1").exists()
        assert not (made.checkout / "build/.release-1").exists()
    finally:
        (verified / "real.tar").rename(verified / "db.tar")


def test_the_same_image_is_packed_into_the_same_bytes(made: Made, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    pack(made.checkout / "build/verified/proxy.tar", again, f"slipway/proxy:{VERSION}")
    assert again.read_bytes() == (made.directory / "images/proxy.tar").read_bytes()


@pytest.fixture
def nothing_built() -> Iterator[None]:
    """No image of the release is there, before and afterwards."""

    def remove() -> None:
        for name in IMAGES:
            docker("image", "rm", "--force", f"slipway/{name}:{VERSION}", check=False)

    remove()
    yield
    remove()


def unbuildable(target: Path) -> Path:
    """A checkout that cannot build: whatever runs in it came out of a release."""
    checkout = copy_checkout(target)
    for name in ("build", "base"):
        script = checkout / "bin" / name
        script.write_text("#!/bin/sh\necho 'bin/build was called' >&2\nexit 1\n")
    return checkout


@pytest.mark.usefixtures("nothing_built")
def test_it_runs_where_nothing_can_be_built_or_pulled(made: Made, tmp_path: Path) -> None:
    needs_docker()
    stack = DockerStack(unbuildable(tmp_path / "checkout"), "prod", RELEASE=str(made.directory))
    try:
        stack.start()
        page = stack.http.get("/healthz")
        assert page.status == 200
        assert json.loads(page.body)["release"] == VERSION
        for service, name in (("web", "web"), ("worker", "web"), ("proxy", "proxy"), ("db", "db")):
            assert stack.inspect(service)["Config"]["Image"] == f"slipway/{name}:{VERSION}"
    finally:
        stack.remove()


@pytest.mark.usefixtures("nothing_built")
def test_a_damaged_release_is_refused_before_anything_starts(copy: Path, tmp_path: Path) -> None:
    needs_docker()
    replace(copy / "images/proxy.tar", b"no archive")
    stack = DockerStack(unbuildable(tmp_path / "checkout"), "prod", RELEASE=str(copy))
    done = stack.make("prod-up", check=False)
    assert "images/proxy.tar is damaged or was changed: copy the release again" in error(done)
    assert docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={stack.project}") == ""
    assert docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={stack.project}") == ""
    assert docker("image", "ls", "--quiet", f"slipway/*:{VERSION}") == ""


def test_only_production_on_the_docker_engine_runs_a_release(made: Made, tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "checkout")
    done = make(checkout, "prod-up", "ENGINE=local", f"RELEASE={made.directory}")
    assert "names a release, whose images the docker engine runs" in error(done)
    done = make(checkout, "dev", "ENGINE=docker", f"RELEASE={made.directory}")
    assert "`make prod-up` runs it" in error(done)


@pytest.fixture
def older_store(tmp_path: Path) -> Iterator[str]:
    """The address of a Docker daemon with the older image store, as Docker up to 28 has it unless told otherwise."""
    needs_docker()
    if os.geteuid() != 0 or not shutil.which("dockerd") or not shutil.which("unshare"):
        lacking("a second Docker daemon needs root, dockerd and unshare")
    # A network namespace of its own: without a bridge it would take the other daemon's away.
    settings = tmp_path / "daemon.json"
    settings.write_text("{}")
    run = Path(f"/run/slipway-test-{os.getpid()}")
    address = f"unix://{run}/docker.sock"
    run.mkdir()
    command = ["unshare", "--net", "dockerd", "--config-file", str(settings), "--data-root", str(tmp_path / "data")]
    command += ["--exec-root", f"{run}/exec", "--pidfile", f"{run}/pid", "--host", address]
    command += ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
    with (tmp_path / "log").open("w") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while subprocess.run(["docker", "--host", address, "version"], capture_output=True).returncode:
            assert daemon.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        daemon.terminate()
        daemon.wait(30)
        shutil.rmtree(run, ignore_errors=True)


def test_the_older_image_store_loads_it_too(made: Made, older_store: str) -> None:
    driver = docker("--host", older_store, "info", "--format", "{{.DriverStatus}}")
    assert "io.containerd.snapshotter" not in driver
    docker("--host", older_store, "load", "--input", str(made.directory / "images/proxy.tar"))
    image = f"slipway/proxy:{VERSION}"
    # This store names an image by its configuration.
    said = json.loads((made.directory / "digests.json").read_text())["images"]["proxy"]
    assert docker("--host", older_store, "image", "inspect", "--format", "{{.Id}}", image).strip() == said["config"]


def test_verify_says_how_to_get_a_builder_where_this_one_cannot(made: Made, older_store: str) -> None:
    environment = {**os.environ, "DOCKER_HOST": older_store}
    done = subprocess.run(["bin/verify"], cwd=made.checkout, env=environment, capture_output=True, text=True, timeout=60)
    assert "no builder here can write OCI archives" in error(done)
    assert "docker buildx create --use" in done.stderr
