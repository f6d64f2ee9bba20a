"""Reads the environment variables that configure the project; a bad one ends the process with one clear line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")


def refuse(name: str, wrong: str, mend: str) -> NoReturn:
    """Print one line naming the variable, what is `wrong` and how to `mend` it, and exit with status 1.

    SystemExit and not an exception of Django's: it ends manage.py, uWSGI and the worker alike without a traceback.
    """
    sys.exit(f"slipway: {name} {wrong}: {mend}")


def text(name: str, default: str | None = None) -> str:
    """The value of `name`; without a default the variable is required."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        refuse(name, "is not set", "set it in the environment (docs/configuration.md lists every variable)")
    return default


def flag(name: str, default: bool = False) -> bool:
    """The value of `name` as a truth value: 1 or 0."""
    value = text(name, "1" if default else "0")
    if value.lower() in TRUE:
        return True
    if value.lower() not in FALSE:
        refuse(name, f"is {value!r}", "set it to 1 or 0")
    return False


def integer(name: str, default: int, low: int, high: int) -> int:
    """The value of `name` as a whole number between `low` and `high`."""
    value = text(name, str(default))
    if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
        refuse(name, f"is {value!r}", f"set it to a whole number from {low} to {high}")
    return int(value)


def choice(name: str, choices: Sequence[str], default: str) -> str:
    """The value of `name`, which must be one of `choices`."""
    value = text(name, default)
    if value not in choices:
        refuse(name, f"is {value!r}", f"set it to one of {', '.join(choices)}")
    return value


def time_zone(name: str, default: str) -> str:
    """The value of `name` as the name of a time zone that this system knows."""
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        refuse(name, f"is {value!r}", "set it to a time zone such as UTC or Asia/Shanghai (and install tzdata)")
    return value


def hosts(name: str) -> list[str]:
    """The value of `name` as a list of host names without scheme or port, separated by commas."""
    names = [part.strip() for part in text(name).split(",") if part.strip()]
    for part in names:
        if not re.fullmatch(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\]", part):
            refuse(name, f"has {part!r}", "list host names without scheme or port, separated by commas")
    if not names:
        refuse(name, "is empty", "list host names without scheme or port, separated by commas")
    return names


def origin(name: str) -> str:
    """The value of `name` as an origin: scheme, host and perhaps a port, with no path."""
    value = text(name).rstrip("/")
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.path or parts.query or parts.fragment or parts.username is not None:
        refuse(name, f"is {value!r}", "set it to an origin such as https://blog.example.org")
    return value


def directory(name: str, default: str | None = None) -> Path:
    """The value of `name` as an absolute path. Whether it exists is for those to see who write there."""
    value = text(name, default)
    path = Path(value)
    if not path.is_absolute():
        refuse(name, f"is {value!r}", "set it to an absolute path")
    return path


def secret(name: str, shortest: int = 1) -> str:
    """The text in the file that the variable `name` points at, at least `shortest` characters, without its line end."""
    path = Path(text(name))
    try:
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        refuse(name, f"points at {path}, which cannot be read ({error.strerror})", "name a file this user may read")
    except UnicodeDecodeError:
        refuse(name, f"points at {path}, which is not text", "write the secret into it as UTF-8")
    if len(value) < shortest:
        refuse(name, f"points at {path}, which holds fewer than {shortest} characters", "write a longer secret into it")
    if "\0" in value or "\n" in value:
        refuse(name, f"points at {path}, which holds more than one line", "write the secret into it as one line")
    return value


def optional_secret(name: str) -> str:
    """The text in the file that `name` points at; none (empty) without the variable, the file, or anything in it."""
    path = text(name, "")
    try:
        return secret(name) if path and Path(path).stat().st_size else ""
    except FileNotFoundError:
        return ""
