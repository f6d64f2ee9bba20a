"""`make db-upgrade`: the database into the next major version of PostgreSQL, by a dump that is restored beside it.

The new image's own entry point makes the new cluster, in `upgrading/` of the same volume, while the old one still runs
without writers. It is tried, and takes the other's place by one rename (services/db/backup/restore). What ends before
that leaves everything as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import subprocess
import time
from collections.abc import Iterator

from backup.drilling import fetch_page
from backup.dumps import reason
from backup.listing import size
from backup.recovered import SOCKET, Recovered
from backup.restoring import (
    GRACE,
    HEALTHY_SECONDS,
    VOLUME,
    cluster_mount,
    heed_signals,
    hold_signals,
    remove_trials,
    wait_healthy,
)
from backup.site import DATABASE_USER, HARDENED, ROOT, TEMPORARY, BackupError, Site, docker, last_words, major_of
from backup.steps import step

UPGRADING = f"{VOLUME}/upgrading"
DATABASES, WRITERS = ("backup", "db"), ("worker", "web")
# The majors of the clusters that have their place, of those that an upgrade which was cut off has left in one, and of
# those that are kept.
CLUSTERS = f"""
cd {VOLUME}
shopt -s nullglob
for version in */data/PG_VERSION; do
  if [[ -e ${{version%PG_VERSION}}slipway.unswapped ]]; then kind=left; else kind=data; fi
  echo "$kind $(<"$version")"
done
for version in */before/data/PG_VERSION; do echo "kept $(<"$version")"; done"""
# What else somebody has put into the cluster: a dump of the site's database lacks it.
OTHERS = """
SELECT 'the database ' || datname FROM pg_database WHERE NOT datistemplate AND datname NOT IN ('postgres', 'slipway')
UNION ALL
SELECT 'the role ' || rolname FROM pg_roles
WHERE rolname !~ '^pg_' AND rolname NOT IN ('postgres', 'slipway_owner', 'slipway_app', 'slipway_backup')"""
# Of one that was killed. A dump whose reader is gone goes on.
END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('pg_dump', 'db-upgrade')"""
# Reading goes on, and so does what the drill notes.
LOCK = """
SET idle_in_transaction_session_timeout = 0;
SET lock_timeout = '30s';
BEGIN;
SELECT format('LOCK TABLE %s IN SHARE MODE', string_agg(format('%I.%I', nspname, relname), ', '))
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'backup')
HAVING count(*) > 0 \\gexec
SELECT 'locked';
"""
# Of a new cluster, before anything is in it; and of what a restore writes beside the rows.
EMPTY_BYTES, WAL_BYTES = 200 * 10**6, 10**9


def sql(container: str, statement: str, database: str = "postgres") -> str:
    """Run SQL as superuser in a container of a database; returns the rows, unadorned."""
    return docker(
        "exec", container, "psql", "-XqAt", "--set", "ON_ERROR_STOP=1", "--dbname", database, "--command", statement
    ).strip()  # fmt: skip


def clusters(site: Site, image: str) -> tuple[list[int], list[int]]:
    """The major versions of the clusters in the project's volume: those that are the site's, and those that are kept.

    Raises BackupError when there is no database.
    """
    found = []
    if site.has_volume("pgdata"):
        mount = ("--volume", f"{site.volume('pgdata')}:{VOLUME}:ro")
        text = docker("run", "--rm", "--network", "none", *mount, "--entrypoint", "bash", image, "-c", CLUSTERS)
        found = [line.split() for line in text.splitlines()]
    data, left, kept = (
        sorted(int(major) for kind, major in found if kind == wanted) for wanted in ("data", "left", "kept")
    )
    # Without an older one it has been swapped in.
    data = data or left
    if not data:
        raise BackupError(f"the project {site.project} has no database: `make prod-up` makes one")
    return data, kept


def kept_tag(site: Site, major: int) -> str:
    """The tag that the image of before an upgrade has until that is confirmed."""
    return f"{site.project}-postgresql-{major}"


def upgrade(site: Site, release: str, force: bool) -> None:
    """Bring the database into the PostgreSQL of `release`, whose image must be here.

    Raises BackupError, and leaves everything as it was, when that cannot be done.
    """
    image = f"slipway/db:{release}"
    if "/" in release:
        raise BackupError(f"RELEASE={release} names no images: `make deploy RELEASE={release}` first, then without it")
    if not docker("image", "ls", "--quiet", image).strip():
        raise BackupError(f"there is no image {image} here: `make deploy RELEASE={release}` brings or builds it")
    new = major_of(image)
    data, kept = clusters(site, image)
    if len(data) > 1:
        raise BackupError(
            f"{site.volume('pgdata')} has clusters of PostgreSQL {data}: move away what is not the site's"
        )
    old = data[0]
    if new == old:
        if kept and kept[0] < new and unfinished(site, new):
            finish(site, image, kept[0])
            return
        raise BackupError(f"nothing to upgrade: the database and {image} are both PostgreSQL {new}")
    if new < old:
        raise BackupError(f"the database is PostgreSQL {old}'s and {image} is {new}'s: a database does not go back")
    if kept:
        raise BackupError(
            "the cluster of before the last restore or upgrade is still kept: "
            "`make restore-confirm` deletes it, `make restore-undo` goes back to it"
        )
    if not site.containers("db") or not site.containers("backup"):
        raise BackupError(f"nothing stands as {site.project} that could be upgraded: `make prod-up` starts it")
    live = [service for service in ("web", "worker", "db") if site.running(service)]
    if live and not force:
        raise BackupError(
            f"the site runs ({', '.join(live)}): FORCE=1 stops it, moves the database, and starts it again; "
            "pages answer 503 meanwhile"
        )
    heed_signals()
    # One that was killed may have left them stopped, or half on the way back.
    bring_back(site, image, old, major_of(site.image("db")) != old)
    start(site, WRITERS)
    check(site)
    print(f"upgrading {site.project} from PostgreSQL {old} to {new}")
    swapping = False
    try:
        stop(site, WRITERS)
        name = note(site, image)
        with still(site.containers("db")[0]) as session:
            beside(site, image, new, name)
            hold_signals()
            with step("The swap"):
                docker("tag", site.image("db"), f"slipway/db:{kept_tag(site, old)}")
                if session.poll() is not None:
                    raise BackupError("somebody has ended the session that kept others from writing")
                stop(site, reversed(DATABASES))
                swapping = True
                site.once("restore", "upgrade", str(old), options=cluster_mount(site), image=image)
        with step(f"PostgreSQL {new}, and its backups"):
            start_databases(site, release)
    except BaseException:
        go_back(site, image, old, swapping)
        raise
    go_on(site, new)


def unfinished(site: Site, major: int) -> bool:
    """Whether a cluster that has its place is not run by an image of its version, or not all of the site runs."""
    if not site.running("db") or major_of(site.image("db")) != major:
        return True
    return any(len(site.containers(each)) != len(site.containers(each, running=True)) for each in WRITERS)


def finish(site: Site, image: str, old: int) -> None:
    """End an upgrade that was killed after the swap. Raises BackupError, with the old one back, when it fails."""
    new = major_of(image)
    print(f"an upgrade of {site.project} to PostgreSQL {new} was cut off after the swap: going on")
    hold_signals()
    try:
        remove_trials(site)
        site.once("restore", "tidy", options=cluster_mount(site), image=image)
        with step(f"PostgreSQL {new}, and its backups"):
            start_databases(site, image.partition(":")[2])
    except BaseException:
        go_back(site, image, old, swapped=True)
        raise
    go_on(site, new)


def go_on(site: Site, new: int) -> None:
    """Start the site on the new cluster, and say what is left to do."""
    try:
        start_writers(site)
    except BackupError as error:
        raise BackupError(f"the database is PostgreSQL {new}'s, and {error}, or `make restore-undo FORCE=1`") from None
    print(
        f"\n  upgraded to PostgreSQL {new}: look at the site; a full backup is taken within two minutes\n"
        "  `make restore-confirm` deletes the old cluster, `make restore-undo` goes back to it"
    )


def check(site: Site) -> None:
    """Raise BackupError for what an upgrade would leave behind, for an archive that fails, and without room."""
    container = site.containers("db")[0]
    if others := sql(container, OTHERS).splitlines():
        raise BackupError(f"only the database of the site is taken along, and there is {others[0]}: remove that first")
    report = site.report()
    if report["archive_error"]:
        raise BackupError(f"the archive fails ({report['archive_error']}): mend it first")
    database = int(sql(container, "SELECT pg_database_size('slipway')"))
    needed = EMPTY_BYTES + database + min(database, WAL_BYTES)
    if report["free"] < needed:
        raise BackupError(f"no room for a second database: {size(report['free'])} free, {size(needed)} needed")


def stop(site: Site, services: Iterator[str] | tuple[str, ...]) -> None:
    """Stop services in order, each within its grace period."""
    for service in services:
        for container in site.containers(service, running=True):
            docker("stop", "--time", str(GRACE[service]), container)


def start(site: Site, services: tuple[str, ...]) -> None:
    """Start the containers there are of services, in order."""
    for service in services:
        for container in site.containers(service):
            docker("start", container)


def start_writers(site: Site) -> None:
    """Start web and the worker, whoever has stopped them, and wait until web answers."""
    with step("The site again"):
        start(site, WRITERS)
        wait_healthy(site.containers("web"))


def start_databases(site: Site, tag: str) -> None:
    """Have `db` and `backup` run by another image. Raises BackupError with what the one that does not start said."""
    # What web was started with counts, not the release that was asked for.
    environment = {name: value for name, value in os.environ.items() if name != "RELEASE"}
    done = subprocess.run(
        ["bin/containers", "database", tag], cwd=ROOT, env={**environment, "PROJECT": site.project},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip
    if done.returncode:
        raise BackupError(last_words(done.stdout or done.stderr))


def note(site: Site, image: str) -> str:
    """Note in the database what it has, which the new one must have as well; returns the note's name."""
    with step("The last transactions and uploads into the repository"):
        site.execute("/opt/db/backup/restore", "flush")
    with step("A note of every table's rows, and of all articles"):
        socket = ("--volume", f"{site.volume('database')}:/srv/database:ro")
        return site.once("drill", "count", options=socket, image=image).split()[0]


def beside(site: Site, image: str, new: int, name: str) -> None:
    """Make the new cluster of what the old one has, and compare it with the note. The writers are stopped."""
    old = site.containers("db")[0]
    with contextlib.ExitStack() as stack:
        with step(f"A cluster of PostgreSQL {new}, beside the other"):
            server = stack.enter_context(fresh(site, image))
        with step("The database, dumped and restored"):
            copy(old, server.container)
        with step("The planner's statistics"):
            sql(server.container, "VACUUM ANALYZE", "slipway")
        with step("Every table's rows, and the checksum of all articles"):
            trial = ("--volume", f"{server.sockets}:{SOCKET}:ro", "--env", f"RESTORE_SOCKET={SOCKET}")
            site.once("drill", "compare", name, options=trial, image=image)
        with step("The front page, from the site's code on the new database"):
            fetch_page(server)
        docker("stop", "--time", "120", server.container)


@contextlib.contextmanager
def still(container: str) -> Iterator[subprocess.Popen[str]]:
    """Nobody writes into the database of a container for the block, in which it may be stopped.

    Who wants to (`make shell`, `make psql`) waits, and gets an error when it stops: no row is acknowledged that the
    dump lacks. Raises BackupError when somebody's transaction does not end.
    """
    command = ["docker", "exec", "--interactive", "--env", "PGAPPNAME=db-upgrade", container, "psql", "-XqAt"]
    with subprocess.Popen(
        [*command, "--set", "ON_ERROR_STOP=1", "--dbname", "slipway"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as session:  # fmt: skip
        if not session.stdin or not session.stdout or not session.stderr:
            raise BackupError("psql cannot be talked to")
        with contextlib.suppress(BrokenPipeError):
            session.stdin.write(LOCK)
            session.stdin.flush()
        if session.stdout.readline().strip() != "locked":
            raise BackupError(f"others write into the database: {reason(session.stderr.read())}")
        yield session


@contextlib.contextmanager
def fresh(site: Site, image: str) -> Iterator[Recovered]:
    """A server of `image` on a cluster that it makes, which nobody else reaches, for the block."""
    name = f"{site.project}-upgrading-{secrets.token_hex(4)}"
    with site.scratch_volume("upgrading") as sockets:
        options = [
            "--network", "none", "--user", DATABASE_USER, *HARDENED, "--log-driver", "local",
            *TEMPORARY, "--tmpfs", "/run/postgresql:size=1m,mode=0700,uid=10003,gid=10003", "--shm-size", "256m",
            "--volume", f"{site.volume('secrets-db')}:/run/secrets:ro", *cluster_mount(site),
            "--volume", f"{sockets}:{SOCKET}", "--env", f"VOLUME={UPGRADING}",
            "--label", f"slipway.recovered={site.project}",
        ]  # fmt: skip
        settings = ("-c", "listen_addresses=", "-c", f"unix_socket_directories=/run/postgresql,{SOCKET}")
        try:
            docker("run", "--detach", "--name", name, *options, image, *settings)
            wait_ready(name)
            # A web container of another user's connects through it, too.
            docker("exec", name, "chmod", "0711", SOCKET)
            yield Recovered(site, name, sockets, UPGRADING, user="slipway_app")
        finally:
            with contextlib.suppress(BackupError):
                docker("rm", "--force", "--volumes", name)


def wait_ready(container: str) -> None:
    """Wait until a database takes connections. Raises BackupError with its last words when it ends instead."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    while time.monotonic() < deadline:
        # A signal is a BackupError: nothing may suppress it here.
        ask = ["docker", "exec", container, "psql", "-XqAt", "--command", "SELECT 1"]
        if subprocess.run(ask, capture_output=True, check=False).returncode == 0:
            return
        if docker("inspect", "--format", "{{.State.Running}}", container).strip() != "true":
            break
        time.sleep(0.2)
    command = ["docker", "logs", "--tail", "20", container]
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout
    raise BackupError(f"the new cluster does not start: {last_words(said)}")


def copy(old: str, new: str) -> None:
    """The site's database, with its owners and privileges, from one container's cluster into another's.

    Nothing of it is ever in a file. Raises BackupError with the first that is wrong.
    """
    sql(new, "DROP DATABASE slipway")
    dump = ["docker", "exec", old, "pg_dump", "--format=custom", "--compress=0", "--dbname=slipway"]
    restore = ["docker", "exec", "--interactive", new, "pg_restore", "--create", "--exit-on-error", "--dbname=postgres"]
    with (
        subprocess.Popen(dump, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as source,
        subprocess.Popen(restore, stdin=source.stdout, stderr=subprocess.PIPE) as target,
    ):
        try:
            if source.stdout:
                source.stdout.close()
            wrong = [process.stderr.read().decode() if process.stderr else "" for process in (target, source)]
        except BaseException:
            source.kill()
            target.kill()
            raise
    # A dump that ends early is an archive that ends early.
    if source.returncode and "pg_dump: error" in wrong[1]:
        raise BackupError(reason(wrong[1]))
    if source.returncode or target.returncode:
        raise BackupError(reason(wrong[0] or wrong[1]))


def go_back(site: Site, image: str, old: int, swapped: bool) -> None:
    """The site on the old cluster, whatever comes meanwhile."""
    hold_signals()
    try:
        with step(f"PostgreSQL {old} again"):
            bring_back(site, image, old, swapped)
    finally:
        start_writers(site)


def bring_back(site: Site, image: str, old: int, swapped: bool) -> None:
    """Leave the old cluster the only one, and its containers running: by the image that was kept, if it was swapped."""
    remove_trials(site)
    if swapped:
        # One that has outlived its caller may be starting them.
        with (site.secrets() / "database.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stop(site, reversed(DATABASES))
            site.once("restore", "downgrade", options=cluster_mount(site), image=image)
        start_databases(site, kept_tag(site, old))
        return
    site.once("restore", "tidy", options=cluster_mount(site), image=image)
    start(site, DATABASES)
    wait_healthy(site.containers("db"))
    sql(site.containers("db")[0], END_SESSIONS)


def kept_major(site: Site) -> int | None:
    """The older version that one can go back to, or was going back to when that was cut off; None without one."""
    data, kept = clusters(site, site.image("backup"))
    if kept and kept[0] < data[0]:
        return kept[0]
    if kept or not site.containers("db") or not has_image(site, data[0]):
        return None
    return data[0] if unfinished(site, data[0]) else None


def has_image(site: Site, major: int) -> bool:
    """Whether the image of a version is kept."""
    return bool(docker("image", "ls", "--quiet", f"slipway/db:{kept_tag(site, major)}").strip())


def confirm(site: Site, old: int) -> None:
    """Nothing needs the old image any more."""
    with contextlib.suppress(BackupError):
        docker("image", "rm", f"slipway/db:{kept_tag(site, old)}")


def undo(site: Site, old: int, force: bool) -> None:
    """Go back to the cluster and the image of before the upgrade; what was written since is lost with the new one."""
    tag = kept_tag(site, old)
    if not has_image(site, old) or major_of(f"slipway/db:{tag}") != old:
        raise BackupError(f"the image of PostgreSQL {old} is gone: tag one as slipway/db:{tag}")
    if site.running("db") and not force:
        raise BackupError(
            "the site runs: FORCE=1 stops it, goes back, and starts it again; what was written since is lost"
        )
    stop(site, WRITERS)
    go_back(site, site.image("backup"), old, swapped=True)
    print("\n  back: the cluster of before the upgrade is the site's again")
