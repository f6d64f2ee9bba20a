"""The seam to the application server: the only place, with uwsgi.ini, that knows it is uWSGI.

    serve.py            check the configuration, sweep dead sockets, become uWSGI
    serve.py publish    point the published socket name at this instance (run by uWSGI once it accepts)
    serve.py health     ask this instance for /readyz over its socket; exit 0 when it is ready

A deploy (deploy/) decides itself when the traffic moves:

    serve.py hold GENERATION          instances of that generation do not take the name by themselves
    serve.py take NAME [GENERATION]   point the published name at that socket, newer or not; hold GENERATION from now on
    serve.py current                  print where the published name points
    serve.py release                  nothing is held any more
    serve.py warm ADDRESS...          ask every worker of this instance for the addresses, over its socket
    serve.py status                   print how busy the workers are, as JSON
    serve.py drain SECONDS            wait until no worker has a request in hand; exit 1 when one still has

Each instance binds a socket of its own in SOCKET_DIR, `<generation>-<instance>.sock`. nginx connects to the one
published name, `web.sock`, a symbolic link that is only ever re-pointed by an atomic rename. The generation grows with
every deployment: a restarted container of an older one never takes the name from a newer one that is alive.

Environment: SOCKET_DIR; GENERATION (whole number, default 0); INSTANCE (default: the host name);
WEB_PROCESSES (default 2); LISTEN_QUEUE (default 1024, lowered to the kernel's limit); STATS_PATH; AUTORELOAD;
WSGI_MODULE (default config.wsgi:application); SERVER_PROGRAM (default: the uwsgi beside the interpreter).
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

PUBLISHED = "web.sock"
# A file of this ending, named by a generation, keeps that generation from taking the name by itself.
HELD = ".held"
SOCKET_NAME = re.compile(r"(?P<generation>\d+)-(?P<instance>[A-Za-z0-9_.-]+)\.sock")
# A socket is bound a moment before it listens; one this young is left to its owner.
YOUNG_SECONDS = 10.0
KERNEL_BACKLOG = Path("/proc/sys/net/core/somaxconn")


def fail(message: str) -> NoReturn:
    """Say in one line what is wrong and how to mend it, and exit with 1."""
    print(f"serve: {message}", file=sys.stderr)
    raise SystemExit(1)


def directory() -> Path:
    """The directory of the sockets. Exits when SOCKET_DIR is missing or not a directory we can write to."""
    value = os.environ.get("SOCKET_DIR", "")
    if not value:
        fail("SOCKET_DIR is not set: name the directory that nginx shares with this process")
    path = Path(value)
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        fail(f"SOCKET_DIR={value} is not a directory this process can write to: mount the socket volume there")
    return path


def own_name() -> str:
    """The name of this instance's socket. Exits when GENERATION or INSTANCE is malformed."""
    name = f"{os.environ.get('GENERATION') or '0'}-{os.environ.get('INSTANCE') or socket.gethostname()}.sock"
    if not SOCKET_NAME.fullmatch(name):
        fail(f"GENERATION and INSTANCE make {name!r}: a whole number, and letters, digits, dots, hyphens are needed")
    return name


def generation(name: str) -> int:
    """The generation in a socket's name; -1 for a name that is none."""
    found = SOCKET_NAME.fullmatch(name)
    return int(found["generation"]) if found else -1


def listens(path: Path, timeout: float = 1.0) -> bool:
    """Whether somebody listens on the unix socket `path`; a full queue counts as listening. `timeout` in seconds."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        try:
            client.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def sweep(sockets: Path, own: str) -> list[str]:
    """Remove this instance's old socket and those of instances that are gone; the published name stays.

    Returns the names that were removed.
    """
    removed = []
    for path in sorted(sockets.glob("*.sock")):
        if path.is_symlink() or not SOCKET_NAME.fullmatch(path.name):
            continue
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            continue
        if not listens(path) and (path.name == own or age > YOUNG_SECONDS):
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return removed


@contextmanager
def locked(sockets: Path) -> Iterator[None]:
    """Hold the lock on the published name; the end of the process lets it go too."""
    lock = os.open(sockets, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def current(sockets: Path) -> str:
    """The name of the socket that the published name points at; empty before the first."""
    name = sockets / PUBLISHED
    return str(name.readlink()) if name.is_symlink() else ""


def point(sockets: Path, target: str) -> None:
    """Point the published name at `target`: a link made under a temporary name is renamed over the old one."""
    temporary = sockets / f".{target}.link"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(sockets / PUBLISHED)


def publish(sockets: Path, own: str) -> bool:
    """Point the published name at `own`, unless it is held or a newer generation that is alive has the name.

    True when it points there.
    """
    with locked(sockets):
        if (sockets / f"{generation(own)}{HELD}").exists():
            return False
        published = current(sockets)
        if generation(published) > generation(own) and listens(sockets / published):
            return False
        point(sockets, own)
        return True


def hold(sockets: Path, number: str) -> None:
    """Keep the generation `number` from taking the name by itself; whatever the release, restart or crash."""
    if not number.isdigit():
        fail(f"{number!r} is no generation: a whole number is needed")
    (sockets / f"{number}{HELD}").touch()


def take(sockets: Path, target: str, held: str | None = None) -> None:
    """Point the published name at the socket `target`, newer or not, and hold the generation `held`, if one is given.

    Exits when nobody listens there: the name stays where it is.
    """
    with locked(sockets):
        if not SOCKET_NAME.fullmatch(target) or not listens(sockets / target):
            fail(f"nobody listens on {target}: the traffic stays where it is")
        if held is not None:
            hold(sockets, held)
        point(sockets, target)
        (sockets / f"{generation(target)}{HELD}").unlink(missing_ok=True)


def request(path: Path, address: str, timeout: float = 5.0, origin: str = "http://health.invalid") -> tuple[int, str]:
    """GET `address` of the site `origin` from the unix socket `path` in the uwsgi protocol; the status and the body.

    The packet is modifier1 = 0, the length of the variables (16 bits, little endian), modifier2 = 0, then each name
    and value with a 16-bit length: https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html. `timeout` in
    seconds, for each step. Raises OSError when nobody answers, ValueError when the answer is not HTTP.
    """
    scheme, _, host = origin.partition("://")
    name, _, port = host.partition(":")
    variables = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": address,
        "PATH_INFO": address,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
        "SERVER_NAME": name,
        "SERVER_PORT": port or ("443" if scheme == "https" else "80"),
        "REQUEST_SCHEME": scheme,
        "HTTP_X_FORWARDED_PROTO": scheme,
        "REMOTE_ADDR": "127.0.0.1",
    }
    if scheme == "https":
        variables["HTTPS"] = "on"
    encoded = b"".join(
        struct.pack("<H", len(part)) + part for pair in variables.items() for part in (item.encode() for item in pair)
    )
    answer = b""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(str(path))
        client.sendall(struct.pack("<BHB", 0, len(encoded), 0) + encoded)
        while chunk := client.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not status:
        raise ValueError("the answer is empty")
    return int(status[0]), body.decode(errors="replace")


def health(sockets: Path, own: str) -> int:
    """Print why this instance is not ready, if so; returns the exit status."""
    try:
        status, body = request(sockets / own, "/readyz")
    except (OSError, ValueError) as error:
        print(f"{own}: {error}")
        return 1
    if status != 200:
        print(f"/readyz answered {status}: {body.strip()}")
        return 1
    return 0


def warm(path: Path, addresses: list[str], workers: int) -> list[str]:
    """Ask the socket `path` for each address, as often and as many at once as there are workers, twice.

    Returns a line for each answer that a reader must not get: 500 and above, or none within 20 s.
    """
    from concurrent.futures import ThreadPoolExecutor

    origin = os.environ.get("SITE_URL") or "http://localhost"

    def ask(address: str) -> str:
        try:
            status, _ = request(path, address, timeout=20, origin=origin)
        except (OSError, ValueError) as error:
            return f"{address}: {error}"
        return f"{address} answered {status}" if status >= 500 else ""

    with ThreadPoolExecutor(workers) as pool:
        answers = pool.map(ask, [address for address in addresses for _ in range(2 * workers)])
    return sorted(set(filter(None, answers)))


def statistics(stats: Path, timeout: float = 5.0) -> list[dict[str, Any]]:
    """What uWSGI's statistics socket says of each worker. Raises OSError, ValueError.

    It says more than anybody else is to see: the headers of the request in hand, cookies among them.
    """
    import json

    text = b""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(str(stats))
        while chunk := client.recv(65536):
            text += chunk
    workers: list[dict[str, Any]] = json.loads(text)["workers"]
    return workers


def busy(stats: Path) -> int:
    """How many workers have a request in hand. Raises OSError, ValueError."""
    return sum(worker["status"] == "busy" for worker in statistics(stats))


def status(sockets: Path, own: str, stats: Path) -> int:
    """Print this instance's numbers in a line of JSON, or why there are none; returns the exit status."""
    import json

    try:
        workers = statistics(stats, timeout=1.5)
    except (OSError, ValueError) as error:
        print(f"{own}: {error}")
        return 1
    numbers = {
        "workers": len(workers),
        "busy": sum(worker["status"] == "busy" for worker in workers),
        "requests": sum(worker["requests"] for worker in workers),
        "exceptions": sum(worker["exceptions"] for worker in workers),
        "harakiri": sum(worker["harakiri_count"] for worker in workers),
        "serving": current(sockets) == own,
    }
    print(json.dumps(numbers))
    return 0


def drain(stats: Path, seconds: float) -> int:
    """Wait at most `seconds` until no worker has had a request in hand for half a second; the number that still have.

    uWSGI does not know the length of a unix socket's queue; but an idle worker takes from it at once.
    """
    deadline = time.monotonic() + seconds
    idle = 0
    while idle < 5:
        count = busy(stats)
        idle = idle + 1 if count == 0 else 0
        if count and time.monotonic() > deadline:
            return count
        time.sleep(0.1)
    return 0


def backlog() -> int:
    """The length of the listen queue: LISTEN_QUEUE, at most what the kernel allows (uWSGI refuses more)."""
    wanted = os.environ.get("LISTEN_QUEUE") or "1024"
    if not wanted.isdigit():
        fail(f"LISTEN_QUEUE={wanted} is not a whole number")
    limit = int(KERNEL_BACKLOG.read_text()) if KERNEL_BACKLOG.exists() else 128
    return min(int(wanted), limit)


def stats_path() -> str:
    """Where uWSGI's statistics are: STATS_PATH, else in the container's own tmpfs."""
    return os.environ.get("STATS_PATH") or "/tmp/uwsgi-stats.sock"  # noqa: S108


def python_options(program: str) -> list[str]:
    """What a uWSGI from elsewhere needs to run this environment; distributions make Python a plugin of it.

    Exits when it has no Python, or another one than the environment's: compiled modules fit one version only.
    """
    import subprocess

    plugin: list[str]
    for plugin in ([], ["--plugin", "python3"]):
        probe = subprocess.run([program, *plugin, "--python-version"], capture_output=True, text=True, check=False)
        if probe.returncode == 0:
            break
    else:
        fail(f"{program} has no Python: install its plugin `python3` (Debian: apt-get install uwsgi-plugin-python3)")
    theirs, ours = probe.stdout.strip().rpartition(".")[0], f"{sys.version_info.major}.{sys.version_info.minor}"
    if theirs != ours:
        fail(f"{program} runs Python {theirs}, the environment {sys.prefix} is of {ours}: set PYTHON to a {theirs}")
    return [*plugin, "--virtualenv", sys.prefix]


def serve(sockets: Path, own: str) -> NoReturn:
    """Check the configuration, sweep, and become uWSGI."""
    processes = os.environ.get("WEB_PROCESSES") or "2"
    if not processes.isdigit() or int(processes) < 1:
        fail(f"WEB_PROCESSES={processes} is not a whole number above 0")
    if not os.environ.get("AUTORELOAD"):
        # A missing variable ends here with its one line, before anything is bound. In development the page says it.
        import config.settings  # noqa: F401
    for name in sweep(sockets, own):
        print(f"serve: removed the dead socket {name}", file=sys.stderr)
    here = Path(__file__).resolve().parent
    os.chdir(here)
    os.environ.setdefault("WSGI_MODULE", "config.wsgi:application")
    os.environ.update(
        WEB_PROCESSES=processes,
        SOCKET_PATH=str(sockets / own),
        STATS_PATH=stats_path(),
        PYTHON=sys.executable,
    )
    beside = str(Path(sys.executable).parent / "uwsgi")
    program = os.environ.get("SERVER_PROGRAM") or beside
    # The one beside the interpreter has it built in.
    options = [] if program == beside else python_options(program)
    with Path(program).open("rb") as file:
        is_script = file.read(2) == b"#!"
    os.environ["SERVER_BINARY"] = sys.executable if is_script else program
    # `listen` is read before variables are put into an ini.
    os.execv(program, [program, *options, "--listen", str(backlog()), "--ini", "uwsgi.ini"])  # noqa: S606


def main(arguments: list[str]) -> int:
    """Run the command in `arguments`; returns the exit status."""
    sockets, own = directory(), own_name()
    match arguments:
        case []:
            serve(sockets, own)
        case ["publish"]:
            took = publish(sockets, own)
            print(f"serve: {PUBLISHED} -> {own}" if took else f"serve: {PUBLISHED} stays with another release")
            return 0
        case ["health"]:
            return health(sockets, own)
        case ["hold", number]:
            hold(sockets, number)
        case ["take", target]:
            take(sockets, target)
        case ["take", target, held]:
            take(sockets, target, held)
        case ["release"]:
            for path in sockets.glob(f"*{HELD}"):
                path.unlink(missing_ok=True)
        case ["current"]:
            print(current(sockets))
        case ["warm", *addresses]:
            problems = warm(sockets / own, addresses, int(os.environ.get("WEB_PROCESSES") or "2"))
            print("\n".join(problems))
            return 1 if problems else 0
        case ["status"]:
            return status(sockets, own, Path(stats_path()))
        case ["drain", seconds]:
            left = drain(Path(stats_path()), float(seconds))
            if left:
                print(f"{left} workers still have a request in hand after {seconds} s")
            return 1 if left else 0
        case _:
            fail("usage: serve.py [publish | health | hold | take | current | warm | status | drain]")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
