"""A database as a file: out of one stack, into another, and from PostgreSQL 17 (the image) to 18 (the local engine)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.backups import BackedUpStack
from tests.stack.local import LocalStack, copy_checkout

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

ROWS = (
    "SELECT (SELECT count(*) || ' ' || md5(string_agg(md5(a::text), '' ORDER BY id)) FROM blog_article a) || ' ' || "
    "(SELECT count(*) FROM blog_comment)"
)


@pytest.fixture(scope="module")
def dump(backed_up: BackedUpStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump of the stack in containers."""
    file = tmp_path_factory.mktemp("dumps") / "blog.dump"
    backed_up.verb("export-db", FILE=str(file))
    return file


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A new house: the local engine, with nothing in it."""
    stack = LocalStack(copy_checkout(tmp_path_factory.mktemp("house")), "prod")
    stack.start()
    yield stack
    stack.stop()


def test_a_dump_is_its_owners_alone_and_never_overwrites(backed_up: BackedUpStack, dump: Path) -> None:
    assert oct(dump.stat().st_mode)[-3:] == "600"
    assert "is there already" in backed_up.refusal("export-db", FILE=str(dump))
    assert "which file?" in backed_up.refusal("export-db")


def test_the_database_moves_from_postgresql_17_to_18(backed_up: BackedUpStack, dump: Path, house: LocalStack) -> None:
    assert backed_up.psql("SHOW server_version_num").startswith("17")
    assert house.psql("SHOW server_version_num").startswith("18")
    # Somebody has looked at the new site already.
    house.psql("INSERT INTO config_limit VALUES ('look', repeat('0', 64), 1, now() + interval '1 hour')")
    house.make("import-db", f"FILE={dump}")
    assert house.psql(ROWS) == backed_up.psql(ROWS)
    assert house.http.get("/readyz").status == 200
    title = backed_up.psql(
        "SELECT title FROM blog_article WHERE status = 'published' ORDER BY published_at DESC LIMIT 1"
    )
    assert title.split()[0] in house.http.get("/").text
    # The site's role can write what was imported, and no more.
    privileges = "SELECT has_table_privilege('slipway_app', 'blog_comment', '{}')"
    assert house.psql(privileges.format("INSERT")) == "t"
    assert house.psql(privileges.format("TRUNCATE")) == "f"
    assert house.psql("SELECT datname FROM pg_database WHERE datname ~ 'slipway_'") == ""

    # A second time there is content.
    done = house.make("import-db", f"FILE={dump}", check=False)
    assert done.returncode != 0
    assert "FORCE=1 replaces it" in done.stderr
    house.make("import-db", f"FILE={dump}", "FORCE=1")
    assert house.psql(ROWS) == backed_up.psql(ROWS)


def test_a_dump_that_is_damaged_changes_nothing(backed_up: BackedUpStack, dump: Path, tmp_path: Path) -> None:
    before = backed_up.psql(ROWS)
    half = tmp_path / "half.dump"
    half.write_bytes(dump.read_bytes()[: dump.stat().st_size // 2])
    assert "nothing is changed" in backed_up.refusal("import-db", FILE=str(half), FORCE="1")
    other = tmp_path / "other.dump"
    other.write_text("SELECT 1;")
    assert "is no dump" in backed_up.refusal("import-db", FILE=str(other), FORCE="1")
    assert "has content" in backed_up.refusal("import-db", FILE=str(dump))
    assert backed_up.psql(ROWS) == before
    assert backed_up.psql("SELECT datname FROM pg_database WHERE datname ~ 'slipway_'") == ""
