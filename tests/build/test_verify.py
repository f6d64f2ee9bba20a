"""bin/verify and images/compare.py: what differs between two builds is named, and nothing else is called the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from images.compare import MOST_FILES, main, shorten
from tests.build.archives import Archive, Member, image
from tests.stack.containers import docker
from tests.stack.local import copy_checkout
from tests.stack.needs import needs_docker

FILES = (
    Member("etc/motd", b"one\ntwo\n", mode=0o644, time=10),
    Member("bin/tool", b"\x7fELF\x00\x01\x02", mode=0o755),
    Member("etc/link", kind=tarfile.SYMTYPE, target="motd"),
)


@pytest.fixture
def builds(tmp_path: Path) -> tuple[Path, Path]:
    """The directories of two builds; the first holds an image of two layers."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    image(first / "web.tar", [Member("base", b"b")], FILES)
    return first, second


def compare(builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    """Exit status, output and errors of the comparison."""
    status = main([*(str(directory) for directory in builds), *options])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_same_bytes_are_the_same_and_their_digests_are_kept(
    builds: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image(builds[1] / "web.tar", [Member("base", b"b")], FILES)
    kept = tmp_path / "digests.json"
    status, out, _ = compare(builds, capsys, "--output", str(kept), "--about", '{"commit": "c"}')
    assert status == 0
    assert "same twice" in out
    written = json.loads(kept.read_text())
    assert written["commit"] == "c"
    assert re.fullmatch("sha256:[0-9a-f]{64}", written["images"]["web"]["digest"])
    assert len(written["images"]["web"]["layers"]) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (Member("etc/motd", b"one\ntoo\n", time=10), '/etc/motd: content, line 2: "two" | "too"'),
        (Member("etc/motd", b"one\ntwo\n", mode=0o600, time=10), "/etc/motd: mode 0644 | 0600"),
        (Member("etc/motd", b"one\ntwo\n", owner=(0, 5), time=10), "/etc/motd: owner 0:0 | 0:5"),
        (Member("etc/motd", b"one\ntwo\n", time=11), "/etc/motd: time 10 | 11"),
        (Member("etc/motd", kind=tarfile.SYMTYPE, target="x"), "/etc/motd: file | symbolic link"),
        (Member("etc/link", kind=tarfile.SYMTYPE, target="x"), "/etc/link: target motd | x"),
        (Member("bin/tool", b"\x7fELF\x00\xff\x02", mode=0o755), '/bin/tool: content, 7 bytes, from byte 5: ".." | ".."'),
        (Member("bin/tool", b"\x7fELF", mode=0o755), "/bin/tool: content, 7 | 4 bytes, from byte 4"),
    ],
)
def test_a_file_that_differs_is_named_with_what_differs(
    builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str], changed: Member, said: str
) -> None:
    image(
        builds[1] / "web.tar",
        [Member("base", b"b")],
        [changed if member.path == changed.path else member for member in FILES],
    )
    status, out, err = compare(builds, capsys)
    assert status == 1
    assert said in out
    assert "layer 2 of 2" in out
    # The other files, and the other layer, are not accused.
    assert len(re.findall(r"^ +/", out, re.MULTILINE)) == 1
    assert "layer 1" not in out
    assert err == "verify: 1 of 1 images are not the same twice: see the files named above\n"


def test_a_file_of_one_build_only_and_another_order_are_named(
    builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    image(builds[1] / "web.tar", [Member("base", b"b")], [*FILES, Member("stray")])
    assert "/stray: only in the second build" in compare(builds, capsys)[1]
    image(builds[1] / "web.tar", [Member("base", b"b")], FILES[::-1])
    assert "the same files in another order" in compare(builds, capsys)[1]


def test_a_layer_of_two_images_is_told_once(builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    image(builds[1] / "web.tar", [Member("base", b"other")], FILES)
    for directory, layer in zip(builds, (b"b", b"other"), strict=True):
        image(directory / "base.tar", [Member("base", layer)])
    _, out, err = compare(builds, capsys)
    assert out.count("/base: content") == 1
    assert "layer 1 of 2: as in base" in out
    assert "2 of 2 images" in err


def test_a_configuration_that_differs_is_named(builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    image(builds[1] / "web.tar", [Member("base", b"b")], FILES, config={"User": "0"})
    status, out, _ = compare(builds, capsys)
    assert status == 1
    assert 'configuration: config: null | {"User": "0"}' in out


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([{"created": "1"}, {"created": "2"}], 'history[2].created: "2" | "3"'),
        ([{"created_by": "a"}, {"created_by": "x"}], "history[1].created"),
    ],
)
def test_a_history_that_differs_is_named(
    builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str], history: list[dict[str, str]], said: str
) -> None:
    image(builds[0] / "web.tar", [Member("base", b"b")], FILES, history=history)
    image(builds[1] / "web.tar", [Member("base", b"b")], FILES, history=[{"created": "1"}, {"created": "3"}])
    status, out, _ = compare(builds, capsys)
    assert status == 1
    assert said in out


def test_manifests_that_differ_are_never_the_same(
    builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for directory, annotation in zip(builds, ("x", "y"), strict=True):
        archive = Archive()
        archive.image(FILES)
        manifest = json.loads(archive.blobs[archive.manifests[0]["digest"]]) | {"annotations": {"a": annotation}}
        archive.manifests[0] |= archive.document(manifest)
        archive.write(directory / "web.tar")
    status, out, _ = compare(builds, capsys)
    assert status == 1
    assert 'manifest: annotations.a: "x" | "y"' in out


def test_layers_compressed_differently_are_not_the_same(
    builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    image(builds[1] / "web.tar", [Member("base", b"b")], FILES, compress=True)
    status, out, _ = compare(builds, capsys)
    assert status == 1
    assert "layer 1 of 2: the same files, compressed differently" in out


def test_many_files_are_counted_and_not_all_listed(
    builds: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    image(builds[1] / "web.tar", [Member("base", b"b")], [*FILES, *(Member(f"f{i}") for i in range(MOST_FILES + 7))])
    assert "… and 7 more" in compare(builds, capsys)[1]


def test_digests_of_another_machine_are_compared_too(
    builds: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image(builds[1] / "web.tar", [Member("base", b"b")], FILES)
    kept = tmp_path / "digests.json"
    compare(builds, capsys, "--output", str(kept))
    assert compare(builds, capsys, "--against", str(kept))[0] == 0
    theirs: dict[str, Any] = json.loads(kept.read_text())
    theirs["images"]["web"]["digest"] = "sha256:other"
    theirs["images"]["web"]["layers"][1]["diff_id"] = "sha256:other"
    kept.write_text(json.dumps(theirs))
    status, out, err = compare(builds, capsys, "--against", str(kept))
    assert status == 1
    assert "layer 2:" in out
    assert "layer 1:" not in out
    assert "not the same as in" in err


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ("RUN |2 SOURCE_DATE_EPOCH=1 STRICT=0 /bin/sh -c apt-install a b # buildkit", "apt-install a b"),
        ("RUN /bin/sh -c A=1 make # buildkit", "A=1 make"),
        ("COPY /app /app # buildkit", "COPY /app /app"),
        ("x" * 200, "x" * 99 + "…"),
    ],
)
def test_a_step_is_shown_as_it_is_written(step: str, shown: str) -> None:
    assert shorten(step) == shown


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """A copy of the checkout with a commit of its own."""
    needs_docker()
    copy = copy_checkout(tmp_path / "checkout")
    commit(copy)
    yield copy
    docker("image", "rm", "--force", "slipway/base:verify", check=False)


def commit(checkout: Path) -> None:
    """Commit all there is, at a moment that is not now."""
    environment = {
        **os.environ,
        **{f"GIT_{who}_{what}": "builder" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        "GIT_COMMITTER_DATE": "2026-10-10T10:10:10Z",
    }
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", *command], cwd=checkout, env=environment, check=True)


def verify(checkout: Path, *names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("RELEASE", "STRICT", "BUILDX_BUILDER")}
    return subprocess.run(
        ["bin/verify", *names], cwd=checkout, env=kept | environment, capture_output=True, text=True, timeout=280
    )


def test_a_file_with_the_time_in_it_is_named(repository: Path) -> None:
    dockerfile = repository / "services/base/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "\nRUN date +%s.%N >/etc/built-at\n")
    done = verify(repository, "base")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "with changes that are not committed" in done.stdout
    # Two builds of the same Debian, and one line in which they differ.
    assert re.search(r"layer \d+ of \d+: date \+%s\.%N >/etc/built-at", done.stdout)
    assert re.search(r'^ +/etc/built-at: content, line 1: "\d+\.\d+" \| "\d+\.\d+"$', done.stdout, re.MULTILINE)
    assert len(re.findall(r"^ +/", done.stdout, re.MULTILINE)) == 1
    assert "1 of 1 images are not the same twice" in done.stderr
    assert not (repository / "build/digests.json").exists()


def test_without_a_commit_there_is_no_time_to_build_at(tmp_path: Path) -> None:
    done = verify(copy_checkout(tmp_path / "checkout"), GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("verify: git knows no commit here, whose time the images would carry (not a git repos")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "environment", "said"),
    [
        ("base", {"BUILDX_BUILDER": "nobody"}, "BUILDX_BUILDER=nobody is no builder"),
        ("base", {"AGAINST": "/nowhere.json"}, "AGAINST=/nowhere.json cannot be read"),
        ("basis", {}, "there is no image basis: choose from base, web, web-dev, proxy, db"),
    ],
)
def test_what_cannot_be_done_is_one_line(repository: Path, name: str, environment: dict[str, str], said: str) -> None:
    done = verify(repository, name, **environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"verify: {said}")
    assert done.stderr.count("\n") == 1
