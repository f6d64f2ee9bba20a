"""`make export-db`, `make import-db`: the database as one portable file, for moving house and another major version.

Both engines: on docker the programs run in the database's container, on local they are the wheel's.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backup.restoring import heed_signals
from backup.site import ROOT, BackupError, docker, last_line
from backup.steps import step
from deploy.labels import options

DATABASE, IMPORTED, BEFORE = "slipway", "slipway_imported", "slipway_before_import"
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'slipway'"
# The first bytes of a dump in pg_dump's custom format.
MAGIC = b"PGDMP"
# A new site has an administrator, the group of moderators, and what Django notes of its models and migrations. Anything
# else is content.
CONTENT = """
DO $$
DECLARE
  name text;
  many boolean;
  found text[] := '{}';
BEGIN
  FOR name IN
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relpersistence = 'p' ORDER BY relname
  LOOP
    CONTINUE WHEN name IN
      ('django_migrations', 'django_content_type', 'auth_permission', 'auth_group_permissions', 'django_site');
    EXECUTE format(
      'SELECT count(*) > %s FROM (SELECT FROM public.%I LIMIT 2) AS rows',
      CASE WHEN name IN
        ('accounts_user', 'accounts_takenname', 'auth_user', 'auth_group', 'blog_blog', 'account_emailaddress')
        THEN 1 ELSE 0 END,
      name) INTO many;
    IF many THEN found := found || name; END IF;
  END LOOP;
  PERFORM set_config('slipway.content', array_to_string(found, ', '), false);
END $$;
SELECT current_setting('slipway.content')"""


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL: how one of its programs is called as superuser, with what environment.

    `pause` stops what writes to the database and returns what starts it again; `bring_up_to_date` makes the roles and
    their privileges in a database that was put in place, then applies the migrations.
    """

    command: Callable[[str], list[str]]
    environment: dict[str, str]
    pause: Callable[[], Callable[[], None]]
    bring_up_to_date: Callable[[], None]

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs; returns what it printed. Raises BackupError with its reason."""
        done = subprocess.run(
            [*self.command(program), *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BackupError(f"{program}: {reason(done.stderr)}")
        return done.stdout

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Run SQL, each statement on its own; returns the rows, unadorned."""
        commands = [part for statement in statements for part in ("--command", statement)]
        return self.run("psql", "-XqAt", "--set", "ON_ERROR_STOP=1", "--dbname", database, *commands).strip()


def reason(text: str) -> str:
    """The line of a program's errors that says why."""
    lines = [line for line in text.splitlines() if "error:" in line.lower() or "FATAL" in line]
    return lines[0] if lines else last_line(text)


def rename(*pairs: tuple[str, str]) -> str:
    """SQL that renames databases, all or none."""
    return "; ".join(["BEGIN", *(f"ALTER DATABASE {old} RENAME TO {new}" for old, new in pairs), "COMMIT"])


def export(server: Server, file: Path) -> None:
    """Write the database to `file`, under another name until it is whole.

    The notes of the drills stay out. Raises BackupError when it cannot be written, or is there already.
    """
    if file.exists():
        raise BackupError(f"FILE={file} is there already: name another one, or remove it")
    making = file.with_name(f".{file.name}.making")
    command = [*server.command("pg_dump"), "--format=custom", "--exclude-schema=backup", "--dbname", DATABASE]
    heed_signals()
    try:
        making.unlink(missing_ok=True)
        descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with step(f"The database into {file}"), os.fdopen(descriptor, "wb") as out:
            done = subprocess.run(command, env=server.environment, stdout=out, stderr=subprocess.PIPE, check=False)
            os.fsync(out.fileno())
        if done.returncode:
            raise BackupError(f"pg_dump: {reason(done.stderr.decode())}")
        making.rename(file)
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror}") from None
    finally:
        making.unlink(missing_ok=True)


def import_(server: Server, file: Path, force: bool) -> None:
    """Put the dump `file` in the database's place: restored beside it and renamed. A damaged dump changes nothing.

    Raises BackupError for what is no dump, and for a database with content unless `force`.
    """
    try:
        with file.open("rb") as opened:
            if opened.read(len(MAGIC)) != MAGIC:
                raise BackupError(f"FILE={file} is no dump of `make export-db`")
    except OSError as error:
        raise BackupError(f"FILE={file} cannot be read: {error.strerror}") from None
    block, _, query = CONTENT.rpartition("$$;")
    content = server.sql(f"{block}$$", query, database=DATABASE)
    if content and not force:
        raise BackupError(f"the database has content ({content}): FORCE=1 replaces it")
    heed_signals()
    server.sql(
        f"DROP DATABASE IF EXISTS {IMPORTED}", f"CREATE DATABASE {IMPORTED} OWNER slipway_owner TEMPLATE template0"
    )
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: server.sql(f"DROP DATABASE IF EXISTS {IMPORTED}"))
        with step("The dump, beside the database"), file.open("rb") as opened:
            command = [*server.command("pg_restore"), "--exit-on-error", "--dbname", IMPORTED]
            done = subprocess.run(command, env=server.environment, stdin=opened, capture_output=True, check=False)
            if done.returncode:
                raise BackupError(f"nothing is changed, {file} cannot be restored: {reason(done.stderr.decode())}")
        go_on = server.pause()
        stack.callback(go_on)
        with step("The swap"):
            server.sql(
                f"DROP DATABASE IF EXISTS {BEFORE}",
                TERMINATE,
                rename((DATABASE, BEFORE), (IMPORTED, DATABASE)),
            )
        try:
            with step("Roles and migrations"):
                server.bring_up_to_date()
        except BackupError:
            server.sql(
                TERMINATE,
                rename((DATABASE, IMPORTED), (BEFORE, DATABASE)),
            )
            raise
        server.sql(f"DROP DATABASE {BEFORE}")


def project_container(service: str) -> list[str]:
    """The containers that run of a service of the stack that is meant: PROJECT's, or the one of this checkout."""
    chosen = options(os.environ.get("PROJECT", ""), service, directory=str(ROOT / "compose"))
    return docker("ps", "--quiet", *chosen).split()


@contextlib.contextmanager
def docker_server() -> Iterator[Server]:
    """The database's container. Raises BackupError when none runs, or more than one."""
    found = project_container("db")
    if len(found) != 1:
        raise BackupError(
            "no database runs: `make prod-up` or `make dev` first"
            if not found
            else "two stacks run: name one, PROJECT=…"
        )
    container = found[0]

    def pause() -> Callable[[], None]:
        writers = project_container("web") + project_container("worker")
        for writer in writers:
            docker("stop", "--time", "45", writer)

        def go_on() -> None:
            for writer in writers:
                docker("start", writer)

        return go_on

    def bring_up_to_date() -> None:
        script = """
            for name in owner app backup; do export ${name^^}_PASSWORD_FILE=/run/secrets/${name}_password; done
            psql -Xq --dbname postgres --file /opt/db/roles.sql
            [[ ! -e $BACKUP_PASSWORD_FILE ]] || psql -Xq --dbname postgres --file /opt/db/backup.sql"""
        docker("exec", container, "bash", "-ec", script)
        migrate(["bin/containers", "manage", "migrate", "--no-input"])

    command = ["docker", "exec", "--interactive", container]
    yield Server(lambda program: [*command, program], dict(os.environ), pause, bring_up_to_date)


def migrate(command: Sequence[str], directory: Path = ROOT, environment: dict[str, str] | None = None) -> None:
    """Apply the migrations of the code that is here. Raises BackupError with the reason."""
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"the imported database does not fit this code: {last_line(done.stderr or done.stdout)}")


@contextlib.contextmanager
def local_server() -> Iterator[Server]:
    """The local engine's PostgreSQL, started for the block when the stack does not run."""
    import sys

    from local import postgres
    from local.layout import layout
    from local.stack import Stack, database

    places = layout(ROOT)
    with database(places):
        cluster = postgres.cluster(places)

        def pause() -> Callable[[], None]:
            # The application connects anew by itself, and waits for what is renamed meanwhile.
            return lambda: None

        def bring_up_to_date() -> None:
            cluster.bootstrap(places.secret("owner_password"), places.secret("app_password"))
            environment = Stack(places, "dev").django_environment("owner")
            migrate([sys.executable, "manage.py", "migrate", "--no-input"], places.web, environment)

        environment = {**os.environ, **cluster.environment()}
        yield Server(lambda program: [str(cluster.bin / program)], environment, pause, bring_up_to_date)
