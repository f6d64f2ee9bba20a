"""The local engine's verbs: `python -m local up|down|ps|logs|manage|psql`; bin/ calls it."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

from local import figures, postgres
from local.layout import Layout, StackError, layout
from local.processes import group_members
from local.stack import LONGEST_STOP, MODES, Stack, database, read_status
from watch import logs as watched
from watch import table


def up(places: Layout, mode: str, detach: bool) -> int:
    """Start the stack; in the foreground until it is stopped, or detached once the site answers."""
    if not detach:
        return Stack(places, mode).run()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: os.kill(pid, signal.SIGTERM))
        if os.read(reader, 1):
            return 0
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status) or 1
    os.setsid()
    os.close(reader)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    return Stack(places, mode).run(ready=writer)


def down(places: Layout) -> int:
    """Stop the running stack and wait until it is gone."""
    status = read_status(places)
    if not status:
        print("nothing runs")
        return 0
    if status["mode"] == "command":
        raise StackError(f"no stack runs, only a command with the database (process {status['pid']}): let it end")
    groups = [item["group"] for item in cast(list[dict[str, Any]], status["processes"])]
    os.kill(int(str(status["pid"])), signal.SIGTERM)
    deadline = time.monotonic() + LONGEST_STOP
    while read_status(places):
        if time.monotonic() > deadline:
            raise StackError(f"process {status['pid']} does not stop: see `make logs`")
        time.sleep(0.1)
    left = [group for group in groups if group_members(group)]
    if left:
        raise StackError(f"process groups {left} are still there: the next start ends them")
    print("stopped; the data is kept")
    return 0


def ps(places: Layout) -> int:
    """Print what runs. Exit status 1 when nothing does."""
    status = read_status(places)
    if not status:
        print("nothing runs: `make dev` starts it")
        return 1
    if status["mode"] == "command":
        print(f"only the database, for a command (process {status['pid']})")
        return 1
    return table.show([figures.gather(places, status)])


def logs(places: Layout, follow: bool) -> int:
    """Print what is wanted of the log (watch/logs.py), and with `follow` what comes after it."""
    if not places.log_file.exists():
        raise StackError("there is no log yet: `make dev` starts the stack")
    wish = watched.wanted()
    rotated = sorted(places.log_file.parent.glob(f"{places.log_file.name}.*"), reverse=True)
    with contextlib.ExitStack() as opened:
        try:
            files = [opened.enter_context(path.open(errors="replace")) for path in (*rotated, places.log_file)]
            found = watched.show(itertools.chain.from_iterable(files), wish, live=False)
            if not follow:
                return 0 if found else watched.nothing(wish)
            # From where the reading above has ended.
            command = ["tail", "-c", f"+{files[-1].tell() + 1}", "-F", str(places.log_file)]
            tail = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
            )
            opened.callback(tail.terminate)
            watched.show(tail.stdout or (), wish, live=True)
        except (KeyboardInterrupt, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def manage(places: Layout, arguments: list[str]) -> int:
    """Run a management command with the terminal, as the schema's owner, in the mode that runs (dev when none does)."""
    status = read_status(places)
    with database(places):
        running = status if status and status["mode"] != "command" else None
        stack = Stack(places, str(running["mode"]) if running else "dev")
        if running:
            stack.url = str(running["url"])
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=places.web,
            env=stack.django_environment("owner"),
            check=False,
        )
    return done.returncode


def psql(places: Layout, arguments: list[str]) -> int:
    """PostgreSQL's shell as superuser."""
    with database(places):
        cluster = postgres.cluster(places)
        environment = {**os.environ, **cluster.environment()}
        command = [str(cluster.bin / "psql"), "--dbname", "slipway", *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


def main() -> int:
    """Parse the command line and run one verb; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("up")
    verb.add_argument("mode", choices=MODES)
    verb.add_argument("--detach", action="store_true")
    verbs.add_parser("down")
    verbs.add_parser("ps")
    verb = verbs.add_parser("logs")
    verb.add_argument("--follow", action="store_true")
    # What follows these two is not ours to read.
    verbs.add_parser("manage", add_help=False)
    verbs.add_parser("psql", add_help=False)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a tick gets a question mark instead of an error.
        cast(io.TextIOWrapper, stream).reconfigure(errors="replace")
    options, rest = parser.parse_known_args()
    if rest and options.verb not in ("manage", "psql"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        places = layout(Path(__file__).resolve().parents[1])
        match options.verb:
            case "up":
                return up(places, options.mode, options.detach)
            case "down":
                return down(places)
            case "ps":
                return ps(places)
            case "logs":
                return logs(places, options.follow)
            case "manage":
                return manage(places, rest)
            case _:
                return psql(places, rest)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
