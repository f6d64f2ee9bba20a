"""Where the local engine keeps things: state in `.local/` of the checkout, sockets in a short directory elsewhere."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

# sun_path of a unix socket holds 108 bytes with the closing NUL; the longest name below the run directory has 40.
SOCKET_PATH_LIMIT = 107
LONGEST_SOCKET_NAME = 40

SECRET_NAMES = ("secret_key", "postgres_password", "owner_password", "app_password", "admin_password")


class StackError(Exception):
    """What the user can mend: its text is one line saying what is wrong, where, and how to mend it.

    `source` names the part of the stack whose last words explain it.
    """

    def __init__(self, message: str, source: str = "") -> None:
        super().__init__(message)
        self.source = source


@dataclass(frozen=True)
class Layout:
    """The directories of one checkout's local stack. All paths are absolute."""

    root: Path
    state: Path
    run: Path

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def sockets(self) -> Path:
        return self.run / "web"

    @property
    def web(self) -> Path:
        return self.root / "services" / "web"

    @property
    def lock_file(self) -> Path:
        return self.state / "lock"

    @property
    def status_file(self) -> Path:
        return self.state / "status.json"

    @property
    def log_file(self) -> Path:
        return self.state / "log" / "stack.log"

    @property
    def heartbeat(self) -> Path:
        return self.run / "heartbeat"

    def secret(self, name: str) -> Path:
        return self.secrets / name


def layout(root: Path) -> Layout:
    """The layout of the checkout at `root`; nothing is created. `LOCAL_STATE` moves the state elsewhere."""
    root = root.resolve()
    state = Path(os.environ.get("LOCAL_STATE") or root / ".local").absolute()
    name = f"slipway-{os.getuid()}-{hashlib.sha256(os.fsencode(state)).hexdigest()[:10]}"
    noted = state / "run"
    if noted.is_file():
        run = Path(noted.read_text().strip())
        # A copied checkout brings the note of the one it was copied from.
        if run.name == name and run.parent.is_dir():
            return Layout(root, state, run)
    # Not XDG_RUNTIME_DIR: it goes away when its user logs out, and a detached stack stays.
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  (a directory of our own is made in it)
        run = Path(base) / name
        if os.access(base, os.W_OK | os.X_OK) and len(os.fsencode(run)) + LONGEST_SOCKET_NAME <= SOCKET_PATH_LIMIT:
            return Layout(root, state, run)
    raise StackError("no directory is short enough for unix sockets: set TMPDIR to a path of at most 40 bytes")


def prepare(places: Layout) -> None:
    """Make the directories and the secrets that are not there yet. Raises StackError when a directory is not ours."""
    for directory in (places.state, places.secrets, places.log_file.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    places.run.mkdir(mode=0o711, exist_ok=True)
    found = places.run.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StackError(f"{places.run} belongs to somebody else: remove it, or set TMPDIR to another directory")
    # Whatever the umask: as root, PostgreSQL runs as another user and has its own directory inside.
    places.run.chmod(0o711)
    (places.state / "run").write_text(f"{places.run}\n")
    places.sockets.mkdir(mode=0o700, exist_ok=True)
    superuser = places.secret("postgres_password")
    if (places.state / "postgres").exists() and not superuser.exists():
        raise StackError(
            f"{superuser} is missing, but there is a database: put it back (`make clean DATA=1` deletes both)"
        )
    for name in SECRET_NAMES:
        write_secret(places.secret(name))


def write_secret(path: Path) -> None:
    """Write a new random secret to `path` with mode 0600, unless one is there. Raises StackError for an empty one."""
    if path.exists():
        if not path.read_text().strip():
            raise StackError(f"{path} is empty: put the secret back, or delete the file to get a new one")
        return
    # Renamed into place: an interrupted or failed write leaves no empty secret.
    making = path.with_name(f".{path.name}.{os.getpid()}")
    making.unlink(missing_ok=True)
    with os.fdopen(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
    making.rename(path)
