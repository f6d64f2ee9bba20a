"""The database's container: its first start, what it refuses, and what the roles may do."""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from tests.stack.containers import RELEASE, DockerStack, docker
from tests.stack.local import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

IMAGE = f"slipway/db:{RELEASE}"
USER = "10003"
DATA = "/var/lib/postgresql"
HARDENED = [
    "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none",
    "--shm-size", "256m", "--tmpfs", "/tmp", "--tmpfs", f"/run/postgresql:uid={USER},gid={USER},mode=0700",
]  # fmt: skip


class Database:
    """Volumes of one database, and containers on them."""

    def __init__(self) -> None:
        self.name = f"slipway-test-{secrets.token_hex(4)}"
        self.data, self.secrets = f"{self.name}-data", f"{self.name}-secrets"
        for volume in (self.data, self.secrets):
            docker("volume", "create", volume)
        passwords = "; ".join(
            f"printf %s {name}-of-test >/run/secrets/{name}"
            for name in ("postgres_password", "owner_password", "app_password")
        )
        self.prepare(f"{passwords}; chmod 400 /run/secrets/*; chown {USER} /run/secrets/*")

    def prepare(self, script: str) -> None:
        """Run a script as root on the volumes, as whoever administers the machine could."""
        mounts = ["--volume", f"{self.secrets}:/run/secrets", "--volume", f"{self.data}:{DATA}"]
        docker("run", "--rm", "--user", "0", "--network", "none", *mounts, "--entrypoint", "sh", IMAGE, "-ec", script)

    def command(self, *options: str, data: bool = True) -> list[str]:
        mounts = ["--volume", f"{self.secrets}:/run/secrets:ro"]
        if data:
            mounts += ["--volume", f"{self.data}:{DATA}"]
        return [*HARDENED, *mounts, *options, IMAGE]

    def refusal(self, *options: str, data: bool = True) -> str:
        """What it says when it does not start; fails when it starts, or says more than a line."""
        name = f"{self.name}-refused"
        command = ["docker", "run", "--name", name, *self.command(*options, data=data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done.stdout + done.stderr
        said = (done.stdout + done.stderr).strip()
        assert said.startswith("db: "), said
        assert len(said.splitlines()) == 1, said
        return said

    def start(self) -> str:
        """Start a container detached and wait until it answers; returns its name."""
        name = f"{self.name}-{secrets.token_hex(2)}"
        docker("run", "--detach", "--name", name, *self.command())
        wait_for(
            lambda: docker("exec", name, "psql", "-XAtc", "SELECT 1", check=False).strip() == "1",
            30,
            "PostgreSQL answers",
        )
        return name

    def remove(self) -> None:
        for container in docker("ps", "--all", "--quiet", "--filter", f"name=^{self.name}").split():
            docker("rm", "--force", "--volumes", container)
        docker("volume", "rm", self.data, self.secrets)


@pytest.fixture
def database(images: None) -> Iterator[Database]:
    made = Database()
    yield made
    made.remove()


def test_a_new_cluster_has_checksums_a_fixed_collation_and_no_trust(database: Database) -> None:
    name = database.start()

    def ask(sql: str) -> str:
        return docker("exec", name, "psql", "-XAtc", sql).strip()

    assert ask("SHOW data_checksums") == "on"
    assert ask("SELECT datlocprovider, datlocale, encoding FROM pg_database WHERE datname = 'slipway'") == "b|C.UTF-8|6"
    assert ask("SELECT DISTINCT auth_method FROM pg_hba_file_rules ORDER BY 1").split() == ["reject", "scram-sha-256"]
    assert ask("SELECT DISTINCT left(rolpassword, 13) FROM pg_authid WHERE rolcanlogin").split() == ["SCRAM-SHA-256"]
    assert ask("SHOW jit") == "off"


def test_a_stop_is_clean_and_the_next_start_finds_the_data(database: Database) -> None:
    name = database.start()
    docker("exec", name, "psql", "-Xc", "CREATE TABLE kept AS SELECT generate_series(1, 100) AS n")
    docker("stop", "--time", "60", name)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"
    assert (
        "database system is shut down"
        in docker("logs", name, check=False)
        + subprocess.run(["docker", "logs", name], capture_output=True, text=True).stderr
    )
    again = database.start()
    assert docker("exec", again, "psql", "-XAtc", "SELECT count(*) FROM kept").strip() == "100"


@pytest.mark.parametrize("after", [0.05, 0.3, 0.6, 1.0, 1.5])
def test_a_first_start_that_is_killed_leaves_nothing_half_made(database: Database, after: float) -> None:
    name = f"{database.name}-first"
    docker("create", "--name", name, *database.command())
    docker("start", name)
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["docker", "wait", name], timeout=after, capture_output=True)
    docker("kill", name)
    again = database.start()
    assert (
        docker("exec", again, "psql", "-XAtc", "SELECT count(*) FROM pg_roles WHERE rolname ~ '^slipway_'").strip()
        == "2"
    )
    assert ".making" not in docker("exec", again, "find", DATA, "-maxdepth", "2")


def test_a_second_container_on_the_same_cluster_is_refused(database: Database) -> None:
    first = database.start()
    assert "another container has the cluster" in database.refusal()
    assert docker("exec", first, "psql", "-XAtc", "SELECT 1").strip() == "1"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("rm /run/secrets/owner_password", "the secret /run/secrets/owner_password is missing"),
        ("chown 0 /run/secrets/app_password", "the secret /run/secrets/app_password cannot be read by uid 10003"),
        (": >/run/secrets/postgres_password", "the secret /run/secrets/postgres_password is empty"),
        (
            f"touch {DATA}/full; chown 0 {DATA}",
            f"the volume at {DATA} cannot be written by uid 10003: it belongs to uid 0",
        ),
        (f"mkdir -p {DATA}/16/data; echo 16 >{DATA}/16/data/PG_VERSION; chown -R {USER} {DATA}", "is PostgreSQL 16's"),
        (f"mkdir -p {DATA}/17/data; echo 18 >{DATA}/17/data/PG_VERSION; chown -R {USER} {DATA}", "is PostgreSQL 18's"),
    ],
    ids=["missing", "unreadable", "empty", "read-only", "older", "newer"],
)
def test_what_cannot_work_is_refused_in_one_line(database: Database, script: str, words: str) -> None:
    database.prepare(script)
    assert words in database.refusal()


def test_too_little_room_is_refused_before_anything_is_made(database: Database) -> None:
    said = database.refusal("--tmpfs", f"{DATA}:size=120m,uid={USER},gid={USER},mode=0700", data=False)
    assert re.search(r"no room for the database: 1[12]\d MB free in the volume at \S+, 200 MB needed", said)


REFUSED = """
import sys, psycopg2
password = open('/run/secrets/app_password').read()
connection = psycopg2.connect(host='db', dbname='slipway', user='slipway_app', password=password)
connection.autocommit = True
cursor = connection.cursor()
cursor.execute('SELECT count(*) FROM blog_article')
print('rows', cursor.fetchone()[0])
try:
    cursor.execute(sys.argv[1])
    print('allowed')
except psycopg2.errors.InsufficientPrivilege:
    print('refused')
"""


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE intruder (id int)",
        "CREATE SCHEMA intruder",
        "DROP TABLE blog_vote",
        "TRUNCATE blog_vote",
        "ALTER TABLE blog_article ADD COLUMN intruder int",
        "CREATE INDEX ON blog_article (title)",
        "COPY blog_article TO PROGRAM 'true'",
        "SET ROLE slipway_owner",
        "CREATE ROLE intruder",
    ],
)
def test_the_site_logged_in_over_the_network_can_only_read_and_write_rows(
    docker_prod: DockerStack, statement: str
) -> None:
    said = docker_prod.execute("web", "python", "-c", REFUSED, statement).split("\n")
    assert said[0].startswith("rows ")
    assert said[1] == "refused"


@pytest.mark.parametrize("role", ["postgres", "slipway_owner"])
def test_over_the_network_no_superuser_and_nobody_without_the_password(docker_prod: DockerStack, role: str) -> None:
    script = f"import psycopg2; psycopg2.connect(host='db', dbname='slipway', user='{role}', password='guessed')"
    said = docker_prod.execute("web", "python", "-c", script, check=False)
    assert ("pg_hba.conf rejects connection" if role == "postgres" else "password authentication failed") in said
