"""What `make backups`, `make ps` and `make doctor` say of the backups."""

from __future__ import annotations

import datetime as dt
from typing import Any

from backup.moments import backups, earlier, oldest

KINDS = {"full": "full", "diff": "differential", "incr": "incremental"}
# Seconds that WAL may wait before it is worth a word, as PostgreSQL hands on a segment at least each minute.
SLOW_SECONDS = 180


def size(number: float) -> str:
    """A number of bytes as people read it: 4.6 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def age(seconds: float) -> str:
    """A number of seconds as people read it, in its largest unit: 5 min."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def local(timestamp: float) -> str:
    """A moment in this machine's time."""
    return dt.datetime.fromtimestamp(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S%z")


def archive(report: dict[str, Any]) -> str:
    """How the archiving of the WAL is."""
    waits = int(report["waiting_seconds"])
    if report["archive_error"]:
        return f"failing for {age(waits)}: {report['archive_error']}"
    if waits > SLOW_SECONDS:
        return f"behind by {age(waits)}"
    return "ok"


def drill(report: dict[str, Any]) -> str:
    """How the last drill went."""
    last = report["drill"]
    if not last:
        return "none yet"
    ago = age(report["now"] - last["at"])
    if not last["ok"]:
        return f"FAILED {ago} ago: {last['error']}"
    return f"passed {ago} ago, {last['rows']} rows, RPO {last['rpo_seconds']} s, RTO {last['rto_seconds']} s"


def table(report: dict[str, Any]) -> list[str]:
    """The lines of `make backups`."""
    found = backups(report)
    lines = [f"{'backup':<34} {'kind':<13} {'taken':<26} {'age':>6}  {'database':>9}  {'stored':>9}"]
    for item in found:
        info = item["info"]
        stop = item["timestamp"]["stop"]
        lines.append(
            f"{item['label']:<34} {KINDS[item['type']]:<13} {local(stop):<26} {age(report['now'] - stop):>6}  "
            f"{size(info['size']):>9}  {size(info['repository']['delta']):>9}"
        )
    if found:
        lines += ["", f"restore    to any moment since {local(oldest(report).timestamp())}"]
    else:
        lines = ["no backup yet: the first is taken soon after the first start, or by `make backup`"]
    lines.append(f"archive    {archive(report)}")
    failing = f", FAILING: {report['media_error']}" if report["media_error"] else ""
    lines.append(f"uploads    {report['uploads']} files{failing}")
    if report["backup_error"]:
        lines.append(f"FAILED     the last backup: {report['backup_error']}")
    if report["dropped"]:
        lines.append(f"GAPS       {report['dropped']} WAL segments were given up")
    lines.append(f"drill      {drill(report)}")
    if count := earlier(report):
        number = f"{count} backup{'s' if count > 1 else ''}"
        lines.append(f"earlier    {number} of before the upgrade: an image of that PostgreSQL restores them")
    if report["kept"]:
        lines.append(
            "restored   the cluster of before is kept: `make restore-confirm` deletes it, `make restore-undo` goes back"
        )
    return lines


def summary(report: dict[str, Any]) -> str:
    """One line, for `make ps` and `make doctor`."""
    found = backups(report)
    if not found:
        return f"no backup yet; archive {archive(report)}"
    last = found[-1]
    ago = age(report["now"] - last["timestamp"]["stop"])
    back = local(oldest(report).timestamp())
    return f"last {last['type']} {ago} ago, back to {back}; archive {archive(report)}; drill {drill(report)}"
