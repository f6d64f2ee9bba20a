"""The moment to restore to: what somebody has typed, and whether the backups go back that far."""

from __future__ import annotations

import datetime as dt
from typing import Any

from backup.site import BackupError

EXAMPLE = 'TO="2026-11-22 10:15:00+08"'


def parse(text: str, now: dt.datetime) -> dt.datetime:
    """The moment that `text` names, in ISO 8601; without an offset it is this machine's time.

    Raises BackupError when it is no date with a time, or is later than `now`.
    """
    wrong = BackupError(f"TO={text} is not a moment: date, time and offset are needed, as in {EXAMPLE}")
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise wrong from None
    if ":" not in text:
        raise wrong
    moment = moment.astimezone()
    if moment > now:
        raise BackupError(
            f"TO={text} is in the future: {now.astimezone():%Y-%m-%d %H:%M:%S%z} is the latest that can be restored"
        )
    return moment


def backups(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The backups of the cluster that are whole, oldest first, as `pgbackrest info` lists them.

    Not those of before an upgrade to another major version, which only the image of that version restores.
    """
    return [
        found
        for stanza in report["info"]
        for found in stanza["backup"]
        if not found["error"] and of_the_cluster(found, stanza)
    ]


def of_the_cluster(backup: dict[str, Any], stanza: dict[str, Any]) -> bool:
    """Whether a backup is of the cluster there is, and not of one of another major version."""
    clusters = {item["id"]: item["system-id"] for item in stanza["db"]}
    return bool(clusters[backup["database"]["id"]] == stanza["db"][-1]["system-id"])


def earlier(report: dict[str, Any]) -> int:
    """How many backups there are of other clusters."""
    return sum(not of_the_cluster(found, stanza) for stanza in report["info"] for found in stanza["backup"])


def oldest(report: dict[str, Any]) -> dt.datetime:
    """How far back one can go: the end of the oldest backup. Raises BackupError when there is none."""
    found = backups(report)
    if not found:
        raise BackupError("there is no backup yet: `make backup` takes one")
    return dt.datetime.fromtimestamp(found[0]["timestamp"]["stop"], dt.UTC)


def check(moment: dt.datetime, report: dict[str, Any]) -> None:
    """Raise BackupError when the backups do not go back to `moment`."""
    first = oldest(report)
    if moment <= first:
        raise BackupError(
            f"TO={moment:%Y-%m-%d %H:%M:%S%z} is before the oldest backup: "
            f"one can go back to {first.astimezone():%Y-%m-%d %H:%M:%S%z}"
        )
