"""What a deploy remembers: which release one returns to, when the schema forbids it, and names of source trees."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.engine import Engine, reason
from deploy.progress import DeployError
from deploy.records import FAILED, ROLLED_BACK, SERVED, SERVING, Records, Release
from deploy.source import tag


def records(path: Path, *entries: tuple[str, str], **contracts: list[str]) -> Records:
    """A history of (release, status); `contracts` names what a release took away. `<X` means: gone back to X."""
    made = Records(path / "releases.json")
    for at, (name, status) in enumerate(entries):
        release = name.lstrip("<")
        made.releases.append(
            Release(
                release,
                f"sha256:{release}",
                at,
                1.0,
                status,
                contracts=contracts.get(release, []),
                rollback="<" in name,
            )
        )
    return made


def previous(made: Records) -> str | None:
    found = made.previous()
    return found.release if found else None


def test_one_returns_to_the_release_that_served_before(tmp_path: Path) -> None:
    assert previous(records(tmp_path, ("a", SERVED), ("b", SERVED), ("c", SERVING))) == "b"


def test_nothing_is_before_the_first(tmp_path: Path) -> None:
    assert previous(records(tmp_path, ("a", SERVING))) is None
    assert previous(records(tmp_path)) is None


def test_a_release_that_failed_is_none_to_return_to(tmp_path: Path) -> None:
    assert previous(records(tmp_path, ("a", SERVED), ("b", FAILED), ("c", SERVING))) == "a"


def test_going_back_twice_goes_back_two_releases(tmp_path: Path) -> None:
    history = [("a", SERVED), ("b", SERVED), ("c", ROLLED_BACK), ("<b", SERVING)]
    assert previous(records(tmp_path, *history)) == "a"
    assert previous(records(tmp_path, ("a", SERVED), ("b", ROLLED_BACK), ("<a", SERVING))) is None


def test_after_going_back_and_on_one_returns_to_what_one_went_back_to(tmp_path: Path) -> None:
    history = [("a", SERVED), ("b", ROLLED_BACK), ("<a", SERVED), ("c", SERVING)]
    assert previous(records(tmp_path, *history)) == "a"


def test_a_release_deployed_again_returns_to_the_one_between(tmp_path: Path) -> None:
    assert previous(records(tmp_path, ("a", SERVED), ("b", SERVED), ("a", SERVING))) == "b"


def test_what_the_successor_took_away_the_release_no_longer_used(tmp_path: Path) -> None:
    made = records(tmp_path, ("a", SERVED), ("b", SERVING), b=["blog.0009_contract"])
    assert made.beyond(made.releases[0]) == ""


def test_what_a_later_release_took_away_the_release_may_still_use(tmp_path: Path) -> None:
    made = records(tmp_path, ("a", SERVED), ("b", SERVED), ("c", SERVING), c=["blog.0009_contract"])
    assert made.beyond(made.releases[0]) == "c took away what a may still use (blog.0009_contract)"
    assert made.beyond(made.releases[1]) == ""


def test_what_a_failed_release_took_away_stays_away(tmp_path: Path) -> None:
    made = records(tmp_path, ("a", SERVED), ("b", SERVED), ("c", FAILED), ("d", SERVING), c=["blog.0009_contract"])
    assert made.beyond(made.releases[0])
    assert made.beyond(made.releases[1]) == ""


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = records(tmp_path, ("发布", SERVING))
    made.save()
    assert Records(made.path).releases == made.releases
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_a_record_of_a_later_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "releases.json"
    path.write_text('{"releases": [{"release": "a", "image": "i", "generation": 1, "started": 1.0, "of_tomorrow": 1}]}')
    assert Records(path).releases[0].release == "a"


def test_broken_records_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "releases.json"
    path.write_text("{")
    with pytest.raises(DeployError, match="cannot be read"):
        Records(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Traceback:\n  x\nModuleNotFoundError: No module named 'a'\n", "ModuleNotFoundError: No module named 'a'"),
        (
            'django.db.utils.ProgrammingError: column "x"\nLINE 1: SELECT\n   ^\n',
            'django.db.utils.ProgrammingError: column "x"',
        ),
        ("CommandError: no\n\n", "CommandError: no"),
        ("one\ntwo\n", "two"),
        ("", ""),
    ],
)
def test_the_line_that_says_why(text: str, line: str) -> None:
    assert reason(text) == line


@pytest.mark.parametrize(
    ("bucket", "more"), [("", []), ("backups", ["compose/s3.yaml"])], ids=["on a volume", "in a bucket"]
)
def test_a_deploy_tells_compose_where_the_backups_are(
    monkeypatch: pytest.MonkeyPatch, bucket: str, more: list[str]
) -> None:
    monkeypatch.setenv("REPO_S3_BUCKET", bucket)
    assert Engine("slipway").files == ["compose/compose.yaml", "compose/prod.yaml", *more]
    assert Engine("slipway", "dev").files == ["compose/compose.yaml", "compose/dev.yaml"]


def git(checkout: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=checkout, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_source_tree_is_named_by_its_commit_and_what_is_changed_in_it(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "requirements").mkdir()
    for name in ("docker-bake.hcl", "pins.env", "services/a", "README"):
        (tmp_path / name).write_text("one")
    without_git = tag(tmp_path)
    assert without_git.startswith("tree-")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert tag(tmp_path) == commit
    (tmp_path / "README").write_text("two")
    assert tag(tmp_path) == commit
    (tmp_path / "services/a").write_text("two")
    changed = tag(tmp_path)
    assert changed.startswith(f"{commit}-")
    (tmp_path / "services/a").write_text("three")
    assert tag(tmp_path) not in (commit, changed)
