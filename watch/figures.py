"""What there is to know of a running stack, as numbers: the one place that asks for them.

Each engine finds its parts (watch/containers.py, local/figures.py) and asks what is here; watch/table.py puts the
numbers into words. What does not answer in time has no numbers, and nothing waits for it longer than ANSWER_SECONDS.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

ANSWER_SECONDS = 2.0
# Below it, so that psql ends by itself and says so.
DATABASE_SECONDS = 1.5
Numbers = dict[str, Any]

SERVER = """SELECT json_build_object(
    'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    'limit', current_setting('max_connections')::int, 'bytes', pg_database_size('slipway'))"""
# Of the tasks that are READY some may be meant for later.
QUEUE = """SELECT json_build_object(
    'waiting', count(*) FILTER (WHERE status = 'READY' AND (run_after <= now() OR run_after > '9000-01-01')),
    'running', count(*) FILTER (WHERE status = 'RUNNING'), 'failed', count(*) FILTER (WHERE status = 'FAILED'))
    FROM django_tasks_database_dbtaskresult WHERE status <> 'SUCCESSFUL'"""
# A JSON object a line; what cannot be asked is left out.
PSQL = (
    "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--dbname", "slipway",
    "--command", SERVER, "--command", QUEUE,
)  # fmt: skip
PSQL_ENVIRONMENT = {
    "PGCONNECT_TIMEOUT": "2",
    # What fails here is no event of the site.
    "PGOPTIONS": f"-c statement_timeout={DATABASE_SECONDS * 1000:.0f} -c log_min_messages=fatal",
}


class Part(TypedDict):
    """One service, or each container of it: `health` is healthy, starting, unhealthy, running or down (and why).

    `uptime` in seconds; `numbers` is None where the part did not answer or has none.
    """

    service: str
    health: str
    release: str
    uptime: float | None
    numbers: Numbers | None


class Running(TypedDict):
    """A running stack."""

    name: str
    engine: str
    mode: str
    url: str
    parts: list[Part]


def output(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = ANSWER_SECONDS,
    **options: Any,
) -> str | None:
    """What a command printed, whatever its status; None when there is no such program or no end within `seconds`."""
    try:
        done = subprocess.run(
            command,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=environment,
            check=False,
            **options,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout


def objects(text: str | None) -> list[Numbers]:
    """The JSON objects of `text`, one a line; what is none is left out."""
    found = []
    for line in (text or "").splitlines():
        try:
            loaded = json.loads(line)
        except ValueError:
            continue
        if isinstance(loaded, dict):
            found.append(loaded)
    return found


def merged(text: str | None) -> Numbers | None:
    """The JSON objects of `text` as one; None when there is none."""
    found: Numbers = {}
    for item in objects(text):
        found |= item
    return found or None


def connections(text: str) -> int | None:
    """Open connections, from nginx's stub_status."""
    found = re.search(r"^Active connections: (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def at_once(questions: Mapping[str, Callable[[], Numbers | None]]) -> dict[str, Numbers | None]:
    """The answers to all questions, asked at the same time."""
    with ThreadPoolExecutor(max(1, len(questions))) as pool:
        asked = {name: pool.submit(question) for name, question in questions.items()}
        return {name: answer.result() for name, answer in asked.items()}
