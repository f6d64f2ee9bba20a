"""The reader of image archives: what a container of the image would see, and archives that are none."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from images.oci import ArchiveError, Entry, Image, resolve
from tests.build.archives import Archive, Member, directory, hard, image, symbolic, tar
from tests.stack.containers import RELEASE, build_images, docker
from tests.stack.needs import needs_docker


def everything(path: str) -> bool:
    return True


def files(path: Path) -> dict[str, Entry]:
    """The file system of an image, with all contents."""
    with Image(path) as opened:
        return opened.files(everything)


def contents(path: Path) -> dict[str, bytes | None]:
    return {name: entry.content for name, entry in files(path).items() if entry.kind == "file"}


def fault(path: Path) -> str:
    """What reading all of an archive fails with: one line that names the file."""
    with pytest.raises(ArchiveError) as caught:
        files(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_a_later_layer_wins(tmp_path: Path) -> None:
    path = image(tmp_path / "a.tar", [Member("a", b"old"), Member("b", b"kept")], [Member("a", b"new")])
    assert contents(path) == {"/a": b"new", "/b": b"kept"}


def test_contents_are_kept_of_what_is_asked_for_and_digests_of_all(tmp_path: Path) -> None:
    path = image(tmp_path / "a.tar", [Member("a", b"one"), Member("b", b"one")])
    with Image(path) as opened:
        found = opened.files(lambda name: name == "/a")
    assert found["/a"].content == b"one"
    assert found["/b"].content is None
    assert (
        found["/a"].digest == found["/b"].digest == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    )


def test_paths_are_written_in_one_way_only(tmp_path: Path) -> None:
    path = image(tmp_path / "a.tar", [directory("./"), directory("./d/"), Member("./d/x"), Member("/e")])
    assert set(files(path)) == {"/", "/d", "/d/x", "/e"}


def test_a_whiteout_removes_a_file_and_a_directory_with_all_below(tmp_path: Path) -> None:
    lower = [Member("a"), Member("ab"), directory("d"), Member("d/x"), Member("d/e/y"), Member("dd")]
    path = image(tmp_path / "a.tar", lower, [Member(".wh.a"), Member(".wh.d")])
    assert set(files(path)) == {"/ab", "/dd"}


def test_what_a_whiteout_removed_can_come_back(tmp_path: Path) -> None:
    path = image(tmp_path / "a.tar", [Member("d/x"), Member("d/y")], [Member(".wh.d")], [Member("d/x", b"again")])
    assert contents(path) == {"/d/x": b"again"}


def test_an_opaque_directory_hides_what_lower_layers_have_in_it(tmp_path: Path) -> None:
    upper = [directory("d"), Member("d/new"), Member("d/.wh..wh..opq")]
    path = image(tmp_path / "a.tar", [directory("d"), Member("d/old"), Member("e")], upper)
    assert set(files(path)) == {"/d", "/d/new", "/e"}


@pytest.mark.parametrize("replacement", [Member("d", b"a file"), symbolic("d", "e")], ids=["file", "link"])
def test_what_replaces_a_directory_hides_what_was_below(tmp_path: Path, replacement: Member) -> None:
    path = image(tmp_path / "a.tar", [directory("d"), Member("d/x"), Member("dx")], [replacement])
    assert set(files(path)) == {"/d", "/dx"}


def test_links_are_followed_to_their_file(tmp_path: Path) -> None:
    members = [
        Member("usr/share/doc/one/copyright", b"text"), symbolic("usr/share/doc/two", "one"),
        symbolic("usr/share/doc/three", "../doc/two"), symbolic("doc", "/usr/share/doc"),
        hard("hard", "usr/share/doc/one/copyright"), symbolic("round", "about"), symbolic("about", "round"),
        symbolic("nowhere", "not/there"),
    ]  # fmt: skip
    found = files(image(tmp_path / "a.tar", members))
    assert found["/hard"].kind == "hard link"
    for path in ("/hard", "/usr/share/doc/two/copyright", "/usr/share/doc/three/copyright", "/doc/three/copyright"):
        entry = resolve(found, path)
        assert entry
        assert entry.content == b"text", path
    assert [resolve(found, path) for path in ("/round", "/nowhere", "/missing")] == [None] * 3


def test_compressed_and_plain_layers_are_read_alike(tmp_path: Path) -> None:
    layers = ([Member("a", b"1" * 5000), directory("d")], [Member("d/x", b"2")])
    plain = image(tmp_path / "plain.tar", *layers)
    packed = image(tmp_path / "packed.tar", *layers, compress=True)
    assert files(plain) == files(packed)
    with Image(plain) as one, Image(packed) as other:
        assert [layer.diff_id for layer in one.layers] == [layer.diff_id for layer in other.layers]
        assert one.digest != other.digest


def test_a_layer_says_which_step_made_it(tmp_path: Path) -> None:
    history = [{"created_by": "COPY"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "RUN"}]
    with Image(image(tmp_path / "a.tar", [Member("a")], [Member("b")], history=history)) as opened:
        assert [layer.created_by for layer in opened.layers] == ["COPY", "RUN"]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("position", [0.0, 0.5, 0.9])
def test_a_damaged_layer_is_named(tmp_path: Path, compress: bool, position: float) -> None:
    archive = Archive()
    archive.image([Member(f"file{number}", str(number).encode() * 900) for number in range(9)], compress=compress)
    layer = max(archive.blobs, key=lambda digest: len(archive.blobs[digest]))
    content = bytearray(archive.blobs[layer])
    content[int(len(content) * position)] ^= 1
    archive.blobs[layer] = bytes(content)
    assert layer in fault(archive.write(tmp_path / "a.tar"))


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    archive = Archive()
    digest = archive.image([Member("a")])
    archive.blobs[digest] = archive.blobs[digest].replace(b'"schemaVersion": 2', b'"schemaVersion": 3')
    assert f"the content of {digest}" in fault(archive.write(tmp_path / "a.tar"))


def test_an_archive_cut_short_is_damaged(tmp_path: Path) -> None:
    path = image(tmp_path / "a.tar", [Member("a", b"x" * 20000)])
    path.write_bytes(path.read_bytes()[:9000])
    assert "damaged" in fault(path)


def test_attestations_are_passed_over(tmp_path: Path) -> None:
    archive = Archive()
    digest = archive.image([Member("a")])
    archive.image([Member("in-toto")])
    archive.manifests[1]["platform"] = {"architecture": "unknown", "os": "unknown"}
    with Image(archive.write(tmp_path / "a.tar")) as opened:
        assert opened.digest == digest
        assert set(opened.files()) == {"/a"}


def test_an_index_in_the_index_is_followed(tmp_path: Path) -> None:
    archive = Archive()
    digest = archive.image([Member("a")])
    inner = archive.document({"schemaVersion": 2, "manifests": archive.manifests})
    archive.manifests = [inner | {"mediaType": "application/vnd.oci.image.index.v1+json"}]
    with Image(archive.write(tmp_path / "a.tar")) as opened:
        assert opened.digest == digest


def test_two_images_are_one_too_many(tmp_path: Path) -> None:
    archive = Archive()
    archive.image([Member("a")])
    archive.image([Member("b")])
    assert "holds 2 images" in fault(archive.write(tmp_path / "a.tar"))


def test_layers_that_the_config_does_not_name_are_refused(tmp_path: Path) -> None:
    path = image(tmp_path / "a.tar", [Member("a")], rootfs={"type": "layers", "diff_ids": []})
    assert "different layers" in fault(path)


def test_a_layer_in_zstd_is_named(tmp_path: Path) -> None:
    archive = Archive()
    layer = archive.blob(b"\x28\xb5\x2f\xfd" + b"0" * 20)
    config = archive.document({"rootfs": {"diff_ids": ["sha256:0"]}})
    manifest = archive.document({"config": config, "layers": [{"digest": layer, "size": 24}]})
    archive.manifests.append(manifest | {"mediaType": "application/vnd.oci.image.manifest.v1+json"})
    assert "compressed with zstd" in fault(archive.write(tmp_path / "a.tar"))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no archive", b"\x1f\x8b" + b"0" * 600, tar([Member("other", b"x")]), tar([directory("index.json")]),
        tar([Member("index.json", b"<html>")]), tar([Member("index.json", b"[]")]), tar([Member("index.json", b"{}")]),
    ],
    ids=["empty", "text", "gzip", "other", "directory", "html", "list", "object"],
)  # fmt: skip
def test_what_is_no_image_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    fault(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    fault(tmp_path / "none.tar")


@pytest.mark.docker
def test_an_image_is_read_as_docker_unpacks_it(tmp_path: Path) -> None:
    """The same paths, kinds, targets and modes as in a container's file system."""
    needs_docker()
    build_images()
    name = f"slipway/web:{RELEASE}"
    docker("save", "--output", str(tmp_path / "saved.tar"), name)
    container = docker("create", name, "true").strip()
    try:
        subprocess.run(["docker", "export", "--output", str(tmp_path / "exported.tar"), container], check=True)
    finally:
        docker("rm", "--volumes", container)

    # What Docker puts into every container.
    own = {"/.dockerenv", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab"}

    def kept(path: str) -> bool:
        return path not in own and path.split("/")[1] not in ("", "dev", "proc", "sys")

    with tarfile.open(tmp_path / "exported.tar") as exported:
        unpacked = {
            "/" + info.name.strip("/"): (info.isdir(), info.linkname if info.issym() else "", info.mode)
            for info in exported
        }
    with Image(tmp_path / "saved.tar") as opened:
        read = {
            path: (entry.kind == "directory", entry.target if entry.kind == "symbolic link" else "", entry.mode)
            for path, entry in opened.files().items()
        }
        assert opened.config["config"]["User"] == "10001:10010"
        assert json.loads(docker("image", "inspect", name))[0]["Id"] in (opened.digest, opened.config_digest)
    assert {path: what for path, what in read.items() if kept(path)} == {
        path: what for path, what in unpacked.items() if kept(path)
    }
    assert len(read) > 10000
