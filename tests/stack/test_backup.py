"""What is in the repository, who can read it, and what `make backups` says of it."""

from __future__ import annotations

import pytest

from tests.stack.backups import BackedUpStack
from tests.stack.containers import UNFINISHED, docker
from tests.stack.local import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def test_the_first_backup_is_taken_without_being_asked_for(backed_up: BackedUpStack) -> None:
    assert backed_up.labels()[0].endswith("F")
    assert backed_up.health("backup") == "healthy"


def test_a_backup_of_each_kind_is_listed_with_its_age_and_size(backed_up: BackedUpStack) -> None:
    for kind, letter in (("diff", "D"), ("incr", "I")):
        said = backed_up.verb("backup", TYPE=kind)
        assert f".secrets/{backed_up.project}/backup_passphrase: keep a copy elsewhere" in said
        assert backed_up.labels()[-1].endswith(letter)
    listed = backed_up.verb("backups")
    for words in ("full", "differential", "incremental", "MB", "restore    to any moment since", "archive    ok"):
        assert words in listed


def test_a_kind_that_does_not_exist_is_refused(backed_up: BackedUpStack) -> None:
    assert "TYPE=weekly is none of full, diff and incr" in backed_up.refusal("backup", TYPE="weekly")


def test_wal_is_in_the_repository_within_seconds_of_a_commit(backed_up: BackedUpStack) -> None:
    backed_up.psql("CREATE TABLE soon_archived AS SELECT 1")
    segment = backed_up.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    wait_for(
        lambda: backed_up.psql("SELECT last_archived_wal FROM pg_stat_archiver") >= segment, 30, "the WAL is archived"
    )
    assert segment in backed_up.execute(
        "backup", "bash", "-c", f"ls /srv/backups/repository/archive/slipway/17-1/{segment[:16]}"
    )
    backed_up.psql("DROP TABLE soon_archived")


def test_the_repository_is_encrypted_uploads_and_lists_too(backed_up: BackedUpStack) -> None:
    def uploads() -> list[str]:
        return backed_up.execute("backup", "/opt/db/backup/media", "list", "99999999999").splitlines()

    backed_up.execute("web", "sh", "-c", "printf 'a text to be found' >/srv/media/plain.txt")
    wait_for(lambda: any(line.endswith(" plain.txt") for line in uploads()), 30, "the upload is archived")
    passphrase = backed_up.secret("backup_passphrase").read_text()
    for words in ("a text to be found", "plain.txt", "blog_article", passphrase):
        found = backed_up.as_root(f"grep -rlF -- '{words}' /srv/backups/repository || true")
        assert found == "", words
    backed_up.execute("web", "rm", "/srv/media/plain.txt")


def test_a_backup_notes_the_names_of_the_secrets_and_no_value(backed_up: BackedUpStack) -> None:
    script = f". /opt/db/backup/settings.sh; get media/sets/{backed_up.labels()[-1]}"
    noted = backed_up.execute("backup", "bash", "-c", script)
    assert f"release {backed_up.environment['RELEASE']}" in noted
    for name in ("secret_key", "postgres_password", "admin_password"):
        assert f"secret {name}" in noted
        assert backed_up.secret(name).read_text().strip() not in noted


def test_a_content_is_stored_once_however_often_it_is_uploaded(backed_up: BackedUpStack) -> None:
    def objects() -> int:
        return int(backed_up.as_root("find /srv/backups/repository/media/objects -type f | wc -l"))

    def listed() -> int:
        return backed_up.execute("backup", "/opt/db/backup/media", "list", "99999999999").count("/twice-")

    def waiting() -> int:
        """How many contents are not in the repository yet; it keeps those that are gone besides."""
        script = (
            "find /srv/media -type f ! -name '.*' -exec sha256sum {} + | cut -d ' ' -f 1 | while read -r sum; do "
            "test -e /srv/backups/repository/media/objects/${sum:0:2}/$sum || echo $sum; done | wc -l"
        )
        return int(backed_up.as_root(script))

    # The worker makes the sizes of the sample's pictures.
    wait_for(lambda: backed_up.psql(UNFINISHED) == "0" and waiting() == 0, 120, "the uploads are archived")
    before = objects()
    script = "mkdir /srv/media/both; for n in 1 2; do echo same >/srv/media/both/twice-$n.txt; done"
    backed_up.execute("web", "sh", "-c", script)
    wait_for(lambda: listed() == 2, 30, "both are archived")
    assert objects() == before + 1
    backed_up.execute("web", "sh", "-c", "rm -r /srv/media/both")


def test_neither_the_database_nor_the_site_can_reach_the_repository(backed_up: BackedUpStack) -> None:
    for service in ("db", "web", "worker", "proxy"):
        mounts = {mount["Name"] for mount in backed_up.inspect(service)["Mounts"] if mount["Type"] == "volume"}
        assert not {f"{backed_up.project}_{name}" for name in ("backups", "secrets-backup")} & mounts, service
    said = backed_up.execute("db", "bash", "-c", "touch /srv/archived/forged.ok", check=False)
    assert "Read-only file system" in said


def test_the_backup_container_cannot_change_the_database_or_the_uploads(backed_up: BackedUpStack) -> None:
    script = "touch /var/lib/postgresql/x || touch /srv/media/x || touch /srv/database/x"
    assert backed_up.execute("backup", "bash", "-c", script, check=False).count("Read-only file system") == 3
    role = "psql -XqAtc 'DELETE FROM blog_vote'"
    said = backed_up.execute("backup", "bash", "-c", f". /opt/db/backup/settings.sh; {role}", check=False)
    assert "permission denied" in said


def test_without_a_network_but_its_own_the_backup_container_reaches_nobody(backed_up: BackedUpStack) -> None:
    networks = backed_up.inspect("backup")["NetworkSettings"]["Networks"]
    assert set(networks) == {f"{backed_up.project}_backup"}
    assert docker("network", "inspect", "--format", "{{.Internal}}", f"{backed_up.project}_backup").strip() == "true"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["REPO_S3_BUCKET=blog"], "REPO_S3_BUCKET is set and REPO_S3_ENDPOINT is not"),
        (
            ["REPO_S3_BUCKET=blog", "REPO_S3_ENDPOINT=s3.example.org", "REPO_S3_URI_STYLE=path"],
            (
                "repo1-type=s3 repo1-path=/slipway repo1-s3-bucket=blog repo1-s3-endpoint=s3.example.org "
                "repo1-s3-region=us-east-1 repo1-s3-uri-style=path repo1-s3-key=key-of-test"
            ),
        ),
        ([], "repo1-type=posix repo1-path=/srv/backups/repository"),
    ],
    ids=["no endpoint", "a store", "the volume"],
)
def test_the_repository_is_where_the_variables_say(backed_up: BackedUpStack, settings: list[str], words: str) -> None:
    script = (
        "mkdir -p /tmp/secrets; "
        "for name in repo_s3_key repo_s3_key_secret backup_passphrase; do echo key-of-test >/tmp/secrets/$name; done; "
        "sed 's|/run/secrets|/tmp/secrets|; s|^readonly RUN=.*|readonly RUN=/tmp/run|' /opt/db/backup/settings.sh "
        ">/tmp/settings.sh; . /tmp/settings.sh; cat /tmp/run/pgbackrest.conf"
    )
    options = [part for setting in settings for part in ("--env", setting)]
    command = [
        "run",
        "--rm",
        "--network",
        "none",
        *options,
        "--entrypoint",
        "bash",
        backed_up.inspect("backup")["Image"],
    ]
    said = docker(*command, "-c", script, check=False)
    assert words in " ".join(said.split())
