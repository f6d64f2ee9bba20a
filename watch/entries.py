"""Reads the lines of the stack's log, whoever wrote them, and puts them into words: nginx's and Django's JSON,
PostgreSQL's text, and what programs say besides.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

COLOURS = {"db": 34, "web": 32, "worker": 35, "proxy": 36, "stack": 33, "backup": 94, "acme": 96}
# What the local engine calls it.
SERVICES = {"postgres": "db"}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# log_line_prefix in services/db/postgresql.conf.
POSTGRES = re.compile(r"\d{4}-\S+ \S+ \w+ \[\d+\] (?:\S*@\S* \w{5} (?P<name>.*?) )?(?P<level>[A-Z]+\d?):  (?P<text>.*)")
POSTGRES_LEVELS = {
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.ERROR,
    "PANIC": logging.CRITICAL,
}
# DETAIL, HINT and so on belong to the line before them.
POSTGRES_LEVELS |= dict.fromkeys(("LOG", "INFO", "NOTICE"), logging.INFO)
NGINX = re.compile(r"\d{4}/\d\d/\d\d \S+ \[(?P<level>\w+)\] (?P<text>.*)")
NGINX_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "notice": logging.INFO, "warn": logging.WARNING}
REQUEST = re.compile(r"(?:[^0-9a-f]|^)([0-9a-f]{32})(?:[^0-9a-f]|$)")


@dataclass(frozen=True)
class Entry:
    """One line: from which service, how grave (logging's numbers), for which request ("" when none), in words."""

    service: str
    level: int
    request: str
    text: str


def entry(source: str, line: str, before: Entry | None = None) -> Entry:
    """What `line` of `source` says; `before` is the line before it of the same source, which it may continue."""
    service = SERVICES.get(source, source)
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return _from_json(service, found)
    if service == "db" and (match := POSTGRES.fullmatch(line)):
        level = POSTGRES_LEVELS.get(match["level"], before.level if before else logging.INFO)
        name = match["name"] or ""
        request = name if re.fullmatch(r"[0-9a-f]{32}", name) else ""
        text = f"{match['level']} {match['text']}" + _short(request)
        return Entry(service, level, request, text)
    if service == "proxy" and (match := NGINX.fullmatch(line)):
        return Entry(service, NGINX_LEVELS.get(match["level"], logging.ERROR), "", f"{match['level']} {match['text']}")
    if before and line.startswith(("\t", "    ")):
        return Entry(service, before.level, before.request, line)
    named = REQUEST.search(line)
    # The supervisor of the local engine only says what is out of the ordinary.
    level = logging.ERROR if "HARAKIRI" in line else logging.WARNING if service == "stack" else logging.INFO
    return Entry(service, level, named[1] if named else "", line)


def _short(request: str) -> str:
    return f"  {request[:8]}" if request else ""


def _from_json(service: str, found: dict[str, Any]) -> Entry:
    request = str(found.get("request_id") or "")
    if "path" in found and "status" in found:
        status = int(found["status"])
        milliseconds = float(found.get("seconds") or 0) * 1000
        text = f"{status} {found.get('method')} {found['path'] or '–'}  {milliseconds:.0f} ms{_short(request)}"
        return Entry(service, logging.ERROR if status >= 500 else logging.INFO, request, text)
    name = str(found.get("level", ""))
    text = f"{name} {found.get('message', '')}".strip()
    if "milliseconds" in found:
        text += f": {found.get('status')} {found.get('method')}  {found['milliseconds']} ms"
    text += _short(request)
    if found.get("exception"):
        text += f"\n{found['exception']}"
    return Entry(service, logging.getLevelNamesMapping().get(name, logging.INFO), request, text)


def readable(found: Entry, colour: bool, at: float | None = None) -> str:
    """An entry for people, with this machine's time in front when `at` (seconds since 1970) is given."""
    time = "" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3] + "  "
    prefix = f"{time}{found.service:<8} │ "
    if colour:
        prefix = f"\033[{COLOURS.get(found.service, 37)}m{prefix}\033[0m"
    # What strangers send must not steer the terminal.
    return prefix + CONTROL.sub("\N{REPLACEMENT CHARACTER}", found.text.replace("\t", "    "))


def timestamp(text: str) -> float | None:
    """Seconds since 1970 of a time as Docker and the local engine write it (2026-11-23T14:22:47.841Z); else None."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    try:
        moment = datetime.strptime(seconds, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)
    except ValueError:
        return None
