"""Scenario 6: the disk of the database, of the pictures, of the logs, of the backups is full, and then is not."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import pytest
from PIL import Image

from tests.stack import killing
from tests.stack.backups import ALERT_SECONDS, BackedUpStack
from tests.stack.containers import docker
from tests.stack.deploys import FULL
from tests.stack.disks import Disk
from tests.stack.http import Answer, Client
from tests.stack.load import Load, logged_in, lost_comments, lost_rows, target
from tests.stack.local import ROOT_STATE, LocalStack, copy_checkout, wait_for
from tests.stack.test_killed_processes import AMCHECK, COMMENTED, NO_LIMITS

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1800 if FULL else 600)]

RATE = 8.0
# How long a disk stays full.
SECONDS = 30 if FULL else 3
MEGABYTES = {"database": 500, "media": 30, "log": 8, "backups": 300}
# 16 MB of WAL.
MUCH_WAL = (
    "DO $$ BEGIN FOR n IN 1..16 LOOP PERFORM pg_logical_emit_message(false, 'fill', repeat('x', 1000000)); "
    "END LOOP; END $$"
)
RECOVERY_SECONDS = 30.0
SAVED = "SELECT count(*) FROM blog_comment"
# Longer than any chance in a random picture.
BOUNDARY = "boundary-of-the-parts-of-a-form"
NO_ROOM = "no room for the database"
SECRETS = (
    "secret_key", "postgres_password", "owner_password", "app_password", "admin_password", "backup_password",
    "backup_passphrase",
)  # fmt: skip


class Small:
    """A production stack whose parts are on small disks."""

    def __init__(self, stack: LocalStack, small: dict[str, Disk]) -> None:
        self.stack, self.disks = stack, small
        self.client = Client(stack.url)

    def log_in(self) -> None:
        """Be the administrator from now on."""
        self.cookies, self.token = logged_in(self.client, "admin", self.stack.admin_password())

    def send_picture(self, language: str = "en", accept: str = "text/html") -> Answer:
        """Send a picture of about 0.5 MB by the form of pictures."""
        buffer = io.BytesIO()
        Image.frombytes("RGB", (500, 400), os.urandom(600_000)).save(buffer, "PNG")
        start = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        body = (
            f'{start}"csrfmiddlewaretoken"\r\n\r\n{self.token}\r\n'
            f'{start}"file"; filename="sea.png"\r\nContent-Type: image/png\r\n\r\n'
        ).encode()
        body += buffer.getvalue() + f"\r\n--{BOUNDARY}--\r\n".encode()
        headers = {
            "Cookie": f"{self.cookies}; django_language={language}", "Origin": self.client.origin, "Accept": accept,
            "Accept-Language": language, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }  # fmt: skip
        return self.client.request("POST", "/write/pictures/", body, headers)

    def files(self) -> set[str]:
        """The files of the pictures."""
        root = self.disks["media"].path
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    def is_ready(self) -> bool:
        """Whether the site says that it can answer."""
        with suppress(OSError):
            return self.client.get("/readyz").status == 200
        return False


def on_docker(checkout: Path, made: list[Disk], directory: Path) -> Small:
    """A stack in containers with three of its volumes on small disks."""
    stack = BackedUpStack(checkout)
    # Each switch is a segment of 16 MB, which stays until the next checkpoint.
    stack.environment["ARCHIVE_TIMEOUT"] = "60"
    # None is made for a volume that is there already.
    stack.secret("").mkdir(mode=0o700, parents=True)
    for name in SECRETS:
        stack.secret(name).write_text(token_hex(32))
    owners = {
        "database": ("pgdata", 10003, 10003), "media": ("media", 10001, 10010), "backups": ("backups", 10003, 10003),
    }  # fmt: skip
    small = {}
    for name, (volume, user, group) in owners.items():
        disk = Disk(directory / name, MEGABYTES[name])
        made.append(disk)
        small[name] = disk
        os.chown(disk.path, user, group)
        disk.path.chmod(0o2770 if name == "media" else 0o700)
        docker(
            "volume", "create", "--label", f"com.docker.compose.project={stack.project}",
            "--label", f"com.docker.compose.volume={volume}", "--opt", "type=none", "--opt", "o=bind",
            "--opt", f"device={disk.path}", f"{stack.project}_{volume}",
        )  # fmt: skip
    return Small(stack, small)


def on_local(checkout: Path, made: list[Disk]) -> Small:
    """A stack of the local engine with its database, its media and its log on small disks."""
    places = {
        # Root's database is where PostgreSQL's own user can get.
        "database": ROOT_STATE / "small", "media": checkout / ".local" / "media", "log": checkout / ".local" / "log",
    }  # fmt: skip
    small = {name: Disk(path, MEGABYTES[name]) for name, path in places.items()}
    made.extend(small.values())
    (checkout / ".local").chmod(0o700)
    return Small(LocalStack(checkout, "prod", LOCAL_ROOT_STATE=str(places["database"])), small)


@pytest.fixture(scope="module", params=["local", "docker"])
def small(
    request: pytest.FixtureRequest,
    disks: list[Disk],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Small]:
    """A production stack on small disks, on each engine in turn."""
    checkout = copy_checkout(tmp_path_factory.mktemp("small"))
    if request.param == "docker":
        request.getfixturevalue("images")
        made = on_docker(checkout, disks, tmp_path_factory.mktemp("disks"))
    else:
        made = on_local(checkout, disks)
    try:
        made.stack.start()
        made.stack.manage("seed")
        made.log_in()
        yield made
    finally:
        made.stack.remove() if isinstance(made.stack, BackedUpStack) else made.stack.stop()


def test_a_full_disk_of_the_database_loses_nothing_and_the_site_comes_back_with_the_room(
    small: Small, tmp_path: Path
) -> None:
    stack = small.stack
    stack.psql(NO_LIMITS)
    commented = [int(number) for number in stack.psql(COMMENTED).split(",")]
    wanted = target(small.client, "admin", stack.admin_password(), 0.3, commented)
    style = next(path for kind, path, _ in wanted["paths"] if kind == "file")
    with Load(wanted, RATE, tmp_path) as load:
        time.sleep(2)
        with small.disks["database"].full(2**20):
            full = time.time()
            for _ in range(40):
                with suppress(AssertionError):
                    stack.psql(MUCH_WAL)
                    continue
                break
            wait_for(lambda: small.client.get("/").status == 503, 30, "pages say that something is wrong")
            page = small.client.get("/")
            assert page.status == 503
            assert int(page.headers["Retry-After"]) <= 10
            assert 'lang="zh-Hans"' in page.text
            assert small.client.get(style).status == 200
            wait_for(lambda: NO_ROOM in stack.logs(), 30, "the log says why")
            time.sleep(SECONDS)
            assert small.client.get("/").status == 503
        room = time.time()
        wait_for(small.is_ready, RECOVERY_SECONDS, "the site is ready again")
        seconds = time.time() - room
        saved = int(stack.psql(SAVED))
        wait_for(lambda: int(stack.psql(SAVED)) > saved + 1, 30, "comments are saved again")
        time.sleep(1)
    report = load.measured()
    print(report.table(), flush=True)
    failed = report.failures()
    during = report.window(full, max(item.at for item in failed) + 0.01)
    print(
        f"time to recover: full disk of the database {seconds:.1f} s after there was room, {len(failed)} errors of "
        f"{len(during)} requests until then [{stack.name}]"
    )
    assert {item.status for item in failed} <= {503}
    assert max(item.at for item in failed) < room + RECOVERY_SECONDS
    assert report.comments()
    assert lost_comments(report.comments(), stack.psql) == []
    assert lost_rows(report.acknowledged(), stack.psql) == []
    assert stack.manage("counters").splitlines()[-1] == "all counters are right"
    assert stack.psql(AMCHECK).split()[-1] == "0"
    assert stack.logs().count(NO_ROOM) == 1


def test_a_full_disk_of_the_pictures_is_said_in_the_form_and_leaves_nothing_behind(small: Small) -> None:
    assert small.send_picture().status == 302
    wait_for(lambda: any(name.endswith(".avif") for name in small.files()), 60, "its sizes are there")
    wait_for(lambda: small.stack.psql("SELECT count(*) FROM uploads_picture WHERE NOT announced") == "0", 120, "all")
    before = small.files()
    rows = small.stack.psql("SELECT count(*) FROM uploads_picture")
    shown = next(name for name in sorted(before) if name.endswith(".avif"))
    with small.disks["media"].full(100_000):
        for language, words in (("en", "has no room for pictures"), ("zh-hans", "没有空间存放图片")):
            answer = small.send_picture(language)
            assert answer.status == 422
            assert words in answer.text
        told = small.send_picture(accept="application/json")
        assert told.status == 422, told.text
        assert "has no room" in json.loads(told.text)["error"]
        # What is there is shown, and everything else goes on.
        assert small.client.get(f"/media/{shown}").status == 200
        assert small.client.get("/").status == 200
        assert small.files() == before
        assert small.stack.psql("SELECT count(*) FROM uploads_picture") == rows
    assert small.stack.logs().count("no room for a picture in") == 3
    assert small.send_picture().status == 302
    wait_for(lambda: len(small.files()) > len(before) + 1, 60, "the sizes of the next are there")


def is_another_than(stack: LocalStack, master: killing.Process) -> bool:
    """Whether nginx has a master that is not the one of before."""
    found = killing.of_kind(killing.listing(stack, "proxy"), killing.NGINX_MASTER)
    return bool(found) and found[0].pid != master.pid


# The logs of containers are Docker's own, on the disk of the machine.
@pytest.mark.parametrize("small", ["local"], indirect=True)
def test_a_full_disk_of_the_log_takes_nothing_down(small: Small) -> None:
    log = small.disks["log"].path / "stack.log"
    with small.disks["log"].full():
        # More lines than fit into the pipe that they come through: who stopped reading it would stop nginx.
        assert {small.client.get("/healthz").status for _ in range(400)} == {200}
        size = log.stat().st_size
        assert small.client.get("/").status == 200
        assert log.stat().st_size == size
        master = killing.oldest(small.stack, killing.NGINX_MASTER)
        killing.send(small.stack, "proxy", master, signal.SIGKILL)
        # Until the supervisor sees it, the workers that the master has left still answer.
        wait_for(lambda: is_another_than(small.stack, master), 20, "the supervisor still starts what ends again")
        wait_for(small.is_ready, 20, "nginx answers")
    small.client.get("/after-the-full-disk/")
    wait_for(lambda: "/after-the-full-disk/" in small.stack.logs(), 10, "the log goes on by itself")


def archived(stack: LocalStack) -> str:
    """The newest segment that PostgreSQL knows to be in the repository."""
    return stack.psql("SELECT last_archived_wal FROM pg_stat_archiver")


def said_of(stack: BackedUpStack) -> str:
    """What the health check of the backups has said of late."""
    return str(stack.inspect("backup")["State"]["Health"]["Log"])


# The local engine has no backups.
@pytest.mark.parametrize("small", ["docker"], indirect=True)
def test_a_full_disk_of_the_backups_is_seen_and_what_waited_is_archived_when_there_is_room(small: Small) -> None:
    stack = small.stack
    assert isinstance(stack, BackedUpStack)
    stack.wait_for_backup()
    stack.wait_for_health("backup", "healthy", 60)
    with small.disks["backups"].full():
        stack.psql("CREATE TABLE during_failure AS SELECT generate_series(1, 1000)")
        segment = stack.psql("SELECT pg_walfile_name(pg_switch_wal())")
        stack.wait_for_health("backup", "unhealthy", 60)
        # The reason comes with the next try.
        wait_for(lambda: "No space left on device" in said_of(stack), 60, "the health check says why")
        assert "WAL has waited" in said_of(stack)
        assert "failing for" in stack.verb("backups")
        assert stack.health("db") == "healthy"
        assert small.is_ready()
        assert small.client.get("/").status == 200
        assert archived(stack) < segment
    room = time.time()
    wait_for(lambda: archived(stack) >= segment, 90, "what waited is archived")
    print(
        f"time to recover: full disk of the backups {time.time() - room:.1f} s after there was room, 0 errors [docker]"
    )
    stack.wait_for_health("backup", "healthy", 60 + ALERT_SECONDS)
    stack.psql("DROP TABLE during_failure")
