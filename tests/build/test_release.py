"""make release, make verify-release and make prod-up RELEASE=…: a release is whole, is what it says, and runs anywhere."""

from __future__ import annotations

import hashlib
import io
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
from images.release import IMAGES, names, pack
from tests.build.test_verify import commit
from tests.stack.containers import RELEASE, DockerStack, build_images, docker
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
    # Said of a good release, whatever fails afterwards.
    lines = [line for line in lines if "whose key that is was not checked" not in line]
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
    head = json.loads((made.directory / "digests.json").read_text())["commit"]
    assert f"is whole: version {VERSION}, commit {head[:12]}" in done.stdout
    assert "signed by SHA256:" in done.stdout
    assert "not checked" not in done.stdout
    assert "whose key that is was not checked" in check(made.directory).stdout


def test_a_release_without_a_key_says_that_it_is_not_signed(copy: Path) -> None:
    (copy / "SHA256SUMS.sig").unlink()
    done = check(copy)
    assert done.returncode == 0
    assert "it is not signed" in done.stdout


@pytest.mark.parametrize("language", ["de_DE.UTF-8", "tr_TR.UTF-8"])
def test_the_language_of_the_caller_changes_nothing(made: Made, copy: Path, language: str) -> None:
    """What sha256sum says is translated, and in Turkish the letters from a to z leave out i."""
    environment = {**os.environ, "LC_ALL": language, "LANGUAGE": language[:2], "PUBLIC_KEY": f"{made.key}.pub"}
    command = [ROOT / "bin/verify-release"]
    whole = subprocess.run(command, env=environment | {"RELEASE": str(copy)}, capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    replace(copy / "sbom/web.cdx.json", b"{}")
    done = subprocess.run(command, env=environment | {"RELEASE": str(copy)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "sbom/web.cdx.json is damaged or was changed" in done.stderr


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
    assert "SHA256SUMS is missing: this is no release" in error(check(copy))


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


def rewrite(archive: Path, **replaced: bytes) -> None:
    """Put other content into files of an archive, and append what it does not have. `index_json` is index.json."""
    contents = {name.replace("_", "."): content for name, content in replaced.items()}
    target = archive.with_suffix(".new")
    with tarfile.open(archive) as old, tarfile.open(target, "w:", format=tarfile.USTAR_FORMAT) as new:
        for member in old:
            if member.name not in contents:
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            new.addfile(info, io.BytesIO(content))
    archive.unlink()
    target.rename(archive)


def unsigned(release: Path) -> None:
    """All sums made anew and no signature: as far as somebody without a key gets."""
    (release / "SHA256SUMS.sig").unlink()
    sum_again(release)


def test_an_archive_under_the_name_of_another_is_refused(copy: Path) -> None:
    (copy / "images/proxy.tar").unlink()
    os.link(copy / "images/db.tar", copy / "images/proxy.tar")
    unsigned(copy)
    assert "images/proxy.tar is not the image that digests.json describes: do not run it" in error(check(copy))


def test_an_archive_of_which_the_provenance_does_not_speak_is_refused(copy: Path) -> None:
    said = json.loads((copy / "provenance.json").read_text())
    said["subject"] = [subject for subject in said["subject"] if "slipway/db" not in subject["name"]]
    replace(copy / "provenance.json", json.dumps(said).encode())
    unsigned(copy)
    assert "images/db.tar is not the image that provenance.json speaks of" in error(check(copy))


@pytest.mark.parametrize("part", ["index_json", "manifest_json"])
def test_an_archive_that_names_a_foreign_image_is_refused(copy: Path, part: str) -> None:
    """`docker load` would give that name to what is in the archive."""
    archive = copy / "images/proxy.tar"
    with Image(archive) as image:
        foreign = names(image, "somebody/else:1")
        own = names(image, f"slipway/proxy:{VERSION}")
    name = part.replace("_", ".")
    both = json.loads(own[name])
    if name == "index.json":
        both["manifests"] += json.loads(foreign[name])["manifests"]
    else:
        both += json.loads(foreign[name])
    rewrite(archive, **{part: json.dumps(both).encode()})
    unsigned(copy)
    assert f"{archive} names other images than slipway/proxy:{VERSION}" in error(check(copy))


def test_an_archive_with_a_file_twice_or_too_much_is_refused(copy: Path) -> None:
    """Programs that read a tar differ in which of two they take."""
    archive = copy / "images/proxy.tar"
    content = archive.read_bytes()
    for name in ("index.json", "./index.json", "../up", "blobs/sha256/more"):
        replace(archive, content)
        with tarfile.open(archive, "a:", format=tarfile.USTAR_FORMAT) as opened:
            opened.addfile(tarfile.TarInfo(name))
        if (copy / "SHA256SUMS.sig").exists():
            (copy / "SHA256SUMS.sig").unlink()
        sum_again(copy)
        assert f"{archive} holds {name!r}, which no release does" in error(check(copy))


def test_a_blob_that_is_not_its_digest_is_refused(copy: Path) -> None:
    archive = copy / "images/proxy.tar"
    with Image(archive) as image:
        layer = image.layers[-1].digest.replace(":", "/")
    rewrite(archive, **{f"blobs/{layer}": b"other"})
    unsigned(copy)
    assert f"{archive} is damaged inside" in error(check(copy))


def test_what_is_no_file_is_refused(copy: Path, tmp_path: Path) -> None:
    archive = copy / "images/web.tar"
    archive.rename(tmp_path / "web.tar")
    archive.symlink_to(tmp_path / "web.tar")
    assert f"{archive} is neither a file nor a directory" in error(check(copy))
    archive.unlink()
    os.mkfifo(archive)
    assert f"{archive} is neither a file nor a directory" in error(check(copy))


@pytest.mark.parametrize("version", ["", "dev", "a b", "../x"])
def test_a_release_without_a_version_is_refused(copy: Path, version: str) -> None:
    said = json.loads((copy / "digests.json").read_text()) | {"version": version}
    replace(copy / "digests.json", json.dumps(said).encode())
    unsigned(copy)
    assert "digests.json names no version" in error(check(copy))


def test_an_old_release_under_a_new_name_is_refused(copy: Path) -> None:
    renamed = copy.rename(copy.with_name("release-9.9.9"))
    assert f"{renamed} holds version {VERSION}" in error(check(renamed))


def test_any_of_several_keys_will_do(made: Made, tmp_path: Path) -> None:
    """As in authorized_keys and allowed_signers."""
    other = keygen(tmp_path / "other")
    keys = tmp_path / "keys"
    keys.write_text(f"# whose\n{other.with_suffix('.pub').read_text()}release {made.key.with_suffix('.pub').read_text()}")
    assert check(made.directory, PUBLIC_KEY=keys).returncode == 0
    keys.write_text("no key\n")
    assert f"PUBLIC_KEY={keys} holds no SSH public key" in error(check(made.directory, PUBLIC_KEY=keys))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which release? make verify-release RELEASE="),
        (["RELEASE=/nowhere"], "/nowhere is no directory"),
        (["RELEASE=docs"], "docs/SHA256SUMS is missing: this is no release"),
    ],
)
def test_what_is_no_release_is_said_to_be_none(arguments: list[str], said: str) -> None:
    assert said in error(make(ROOT, "verify-release", *arguments))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which version? make release VERSION=1.2.0"),
        (["VERSION=a b"], "VERSION=a b is no tag of an image"),
        (["VERSION=dev"], "VERSION=dev is the tag of images that are built"),
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
        said = error(make(made.checkout, "release", "VERSION=1"))
        assert "build/verified/db.tar is not the image that build/digests.json names: run `make verify`" in said
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
    make_unbuildable(checkout)
    return checkout


def make_unbuildable(checkout: Path) -> None:
    """Let whatever would build fail."""
    for name in ("build", "base"):
        script = checkout / "bin" / name
        script.write_text("#!/bin/sh\necho 'bin/build was called' >&2\nexit 1\n")


@pytest.mark.usefixtures("nothing_built")
def test_it_runs_where_nothing_can_be_built_or_pulled(made: Made, tmp_path: Path) -> None:
    needs_docker()
    stack = DockerStack(unbuildable(tmp_path / "checkout"), "prod", RELEASE=str(made.directory))
    try:
        started = stack.make("prod-up", DETACH="1")
        page = stack.http.get("/healthz")
        assert page.status == 200
        assert json.loads(page.body)["release"] == VERSION
        assert "signed by SHA256:" in started.stderr
        assert "whose key that is was not checked" in started.stderr
        for service, name in (("web", "web"), ("worker", "web"), ("proxy", "proxy"), ("db", "db")):
            assert stack.inspect(service)["Config"]["Image"] == f"slipway/{name}:{VERSION}"
    finally:
        stack.remove()


@pytest.mark.usefixtures("nothing_built")
def test_it_is_deployed_where_nothing_can_be_built(made: Made, tmp_path: Path) -> None:
    needs_docker()
    build_images()
    stack = DockerStack(copy_checkout(tmp_path / "checkout"), "prod")
    try:
        stack.make("prod-up", DETACH="1")
        make_unbuildable(stack.checkout)
        deployed = stack.make("deploy", RELEASE=str(made.directory))
        assert deployed.stdout.splitlines()[-1].startswith(f"deployed {VERSION} in ")
        assert json.loads(stack.http.get("/readyz").body)["release"] == VERSION
        assert json.loads(docker("image", "inspect", f"slipway/web:{VERSION}"))[0]["Id"] == stack.inspect("web")["Image"]
        back = stack.make("rollback")
        assert back.stdout.splitlines()[-1].startswith(f"rolled back to {RELEASE} in ")
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


@pytest.mark.usefixtures("nothing_built")
def test_a_tag_that_is_another_image_is_not_taken_away(made: Made, tmp_path: Path) -> None:
    needs_docker()
    build_images()
    docker("tag", f"slipway/proxy:{RELEASE}", f"slipway/db:{VERSION}")
    stack = DockerStack(unbuildable(tmp_path / "checkout"), "prod", RELEASE=str(made.directory))
    said = error(stack.make("prod-up", check=False))
    assert f"slipway/db:{VERSION} is another image here than in {made.directory}" in said
    assert docker("image", "ls", "--quiet", f"slipway/web:{VERSION}") == ""


def test_a_release_without_a_slash_is_not_built_by_mistake(made: Made) -> None:
    (made.checkout / "release-x").symlink_to(made.directory)
    try:
        done = make(made.checkout, "prod-up", "ENGINE=docker", "RELEASE=release-x", "PROJECT=slipway-none")
        assert "write RELEASE=./release-x" in error(done)
    finally:
        (made.checkout / "release-x").unlink()


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
