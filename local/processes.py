"""Processes of the local stack: started in groups of their own, their output prefixed, stopped in order."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from logging import Logger
from pathlib import Path
from typing import Any

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


@dataclass
class Process:
    """One long-running program of the stack.

    `stop_signal` asks it to finish what it has and go; after `grace` seconds it is killed.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stop_signal: signal.Signals
    grace: float
    log: Logger
    cwd: str = "/"
    options: Mapping[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None
    stopping: bool = False
    starts: list[float] = field(default_factory=list)
    # Called before it is started again: clears up after the dead one, and returns what it has to wait for, if anything.
    hindrance: Callable[[], str] = str
    restart_at: float | None = None
    waits_for: str = ""

    def start(self) -> None:
        """Start it in a session of its own, so that the terminal's Ctrl-C reaches the supervisor alone."""
        self.starts.append(time.monotonic())
        self.process = subprocess.Popen(
            list(self.command),
            cwd=self.cwd,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **self.options,
        )
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        with process.stdout or contextlib.nullcontext(()) as output:
            for raw in output:
                line = raw.decode(errors="replace").rstrip("\r\n")
                if line:
                    self.log.info(line, extra={"source": self.name})

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Ask it to stop, wait, and kill its whole group when it does not; `hurry` cuts the wait short."""
        self.stopping = True
        if self.process is None:
            return
        deadline = time.monotonic() + self.grace
        asked = 0.0
        while self.alive() and time.monotonic() < deadline:
            # Again every two seconds: uWSGI does not hear SIGTERM before its master runs.
            if time.monotonic() - asked > 2:
                self.process.send_signal(self.stop_signal)
                asked = time.monotonic()
            if hurry():
                deadline = min(deadline, time.monotonic() + 2)
            time.sleep(0.02)
        if self.alive():
            self.log.warning("%s did not stop in time: killed", self.name, extra={"source": "stack"})
        kill_group(self.process.pid)
        self.process.wait()
        if self.reader:
            self.reader.join(2)


def kill_group(group: int) -> None:
    """Kill what is left of a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def started_at(pid: int) -> int:
    """When a process started, in clock ticks since boot (proc(5), stat field 22); 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def group_members(group: int) -> list[int]:
    """The processes of a group, from /proc (empty where there is none)."""
    members = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # after the command: state, parent, group
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(int(entry.name))
    return members


def stop_leftovers(status_file: Path) -> list[str]:
    """End what an earlier run, killed before it could stop anything, left running. Returns the names.

    A process of that number which started at another time is somebody else's. PostgreSQL is left to its own lock file.
    """
    try:
        noted = json.loads(status_file.read_text())["processes"]
    except (OSError, ValueError, KeyError):
        return []
    ended = []
    for item in noted:
        group = item["group"]
        if item["name"] == "postgres" or started_at(group) not in (0, item["started"]) or not group_members(group):
            continue
        ended.append(item["name"])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while group_members(group) and time.monotonic() < deadline:
            time.sleep(0.05)
        kill_group(group)
    return ended


class Terminal:
    """Where the user reads: steps with the time each took, then the log with a coloured prefix a process."""

    def __init__(self) -> None:
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, text: str) -> None:
        """Print a line; a terminal or pipe that has gone away is no reason to leave the stack half-stopped."""
        with contextlib.suppress(OSError):
            print(text, flush=True)

    def paint(self, text: str, code: int) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        """Print `text` while the block runs, then the seconds it took. Yields a function that adds a remark."""
        remarks: list[str] = []
        if self.colour:
            with contextlib.suppress(OSError):
                print(f"  …  {text}", end="\r", flush=True)
        started = time.monotonic()
        try:
            yield remarks.append
        except BaseException:
            self.say(f"  {self.paint('✗', 31)}  {text}")
            raise
        seconds = f"{time.monotonic() - started:.1f} s"
        line = f"{text}: {', '.join(remarks)}" if remarks else text
        self.say(f"  {self.paint('✓', 32)}  {line:<60} {self.paint(seconds, 2)}")


def watch(processes: Sequence[Process], stop: threading.Event, log: Logger, on_restart: Callable[[], None]) -> None:
    """Start what ends again until `stop` is set, for ever; one that keeps ending, every LONGEST_PAUSE seconds."""
    while not stop.wait(0.1):
        for process in processes:
            if process.alive() or process.stopping or process.process is None or stop.is_set():
                continue
            if process.restart_at is None:
                note_end(process, process.process, log)
            elif time.monotonic() >= process.restart_at and not waits(process, log):
                process.restart_at = None
                process.start()
                on_restart()


def note_end(process: Process, ended: subprocess.Popen[bytes], log: Logger) -> None:
    """Clear up after a process that has ended, and decide when it is started again."""
    # What is left of it would keep the port or the socket from its successor.
    kill_group(ended.pid)
    recent = sum(time.monotonic() - start < 60 for start in process.starts)
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** max(0, recent - 1))
    process.restart_at = time.monotonic() + pause
    status, source = ended.returncode, {"source": "stack"}
    if pause < LONGEST_PAUSE:
        log.warning("%s ended with status %s: starting it again", process.name, status, extra=source)
    else:
        log.error("%s keeps ending (status %s): the next try in %d s", process.name, status, pause, extra=source)


def waits(process: Process, log: Logger) -> bool:
    """Whether a process cannot be started yet; the log says once what it waits for."""
    reason = process.hindrance()
    if reason:
        process.restart_at = time.monotonic() + 1
        if not process.waits_for:
            log.error("%s waits: %s", process.name, reason, extra={"source": "stack"})
    process.waits_for = reason
    return bool(reason)
