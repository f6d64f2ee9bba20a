"""Static files of several releases side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from config.publishing import PublishingError, publish


def build(directory: Path, **files: str) -> Path:
    """A directory as collectstatic leaves it: plain names, hashed names, compressed ones, and the manifest."""
    directory.mkdir(parents=True)
    paths = {}
    for name, content in files.items():
        hashed = f"{name}.{abs(hash(content)):x}.css"
        paths[f"{name}.css"] = hashed
        (directory / f"{name}.css").write_text(content)
        (directory / hashed).write_text(content)
        (directory / f"{hashed}.gz").write_text(f"gz {content}")
    (directory / "staticfiles.json").write_text(json.dumps({"paths": paths, "version": "1.1"}))
    return directory


def hashed(directory: Path) -> set[str]:
    """The hashed names that the manifest in `directory` lists."""
    return set(json.loads((directory / "staticfiles.json").read_text())["paths"].values())


def test_only_hashed_names_and_their_compressed_forms_are_published(tmp_path: Path) -> None:
    one = build(tmp_path / "one", site="a")
    publish(one, tmp_path / "out", "r1")
    names = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert names == {name + suffix for name in hashed(one) for suffix in ("", ".gz")}


def test_a_file_that_is_there_is_never_written_again(tmp_path: Path) -> None:
    one = build(tmp_path / "one", site="a")
    publish(one, tmp_path / "out", "r1")
    (name,) = hashed(one)
    (tmp_path / "out" / name).write_text("as nginx has it open")
    result = publish(one, tmp_path / "out", "r2")
    assert (result.added, result.present) == (0, 2)
    assert (tmp_path / "out" / name).read_text() == "as nginx has it open"


def test_the_files_of_the_last_three_releases_stay(tmp_path: Path) -> None:
    builds = [build(tmp_path / str(number), site=f"content {number}") for number in range(4)]
    for number, directory in enumerate(builds):
        publish(directory, tmp_path / "out", f"r{number}")
    there = [all((tmp_path / "out" / name).exists() for name in hashed(directory)) for directory in builds]
    assert there == [False, True, True, True]


def test_releases_that_fail_one_after_the_other_do_not_push_out_the_one_that_serves(tmp_path: Path) -> None:
    builds = [build(tmp_path / str(number), site=f"content {number}") for number in range(6)]
    for number, directory in enumerate(builds):
        publish(directory, tmp_path / "out", f"r{number}", kept={"r0"})
    there = [all((tmp_path / "out" / name).exists() for name in hashed(directory)) for directory in builds]
    assert there == [True, False, False, True, True, True]


def test_two_builds_under_one_name_are_two_releases(tmp_path: Path) -> None:
    first, second = build(tmp_path / "a", site="a"), build(tmp_path / "b", site="b")
    publish(first, tmp_path / "out", "dev")
    publish(second, tmp_path / "out", "dev")
    assert all((tmp_path / "out" / name).exists() for name in hashed(first) | hashed(second))


def test_publishing_an_older_release_again_makes_it_the_newest(tmp_path: Path) -> None:
    builds = [build(tmp_path / str(number), site=f"content {number}") for number in range(4)]
    for number in (0, 1, 2, 0, 3):
        publish(builds[number], tmp_path / "out", f"r{number}")
    assert all((tmp_path / "out" / name).exists() for name in hashed(builds[0]))


def test_a_build_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishingError, match="collectstatic"):
        publish(tmp_path, tmp_path / "out", "r1")


def test_a_broken_record_removes_nothing(tmp_path: Path) -> None:
    publish(build(tmp_path / "one", site="a"), tmp_path / "out", "r1")
    (tmp_path / "out" / ".releases" / "x.json").write_text("{")
    with pytest.raises(PublishingError, match=r"x\.json"):
        publish(build(tmp_path / "two", site="b"), tmp_path / "out", "r2")
    assert len([path for path in (tmp_path / "out").iterdir() if path.is_file()]) == 4


def test_the_command_names_the_variable_that_is_missing(settings: object) -> None:
    settings.STATIC_PUBLISHED = ""  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="STATIC_PUBLISHED"):
        call_command("publish_static")
