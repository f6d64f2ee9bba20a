"""python -m deploy deploy|rollback|releases|note|differs|tag: called by bin/containers, which has set the environment.

Environment: PROJECT; RELEASE (deploy); ALLOWED_HOSTS, HTTPS_PORT; HEALTHY_SECONDS [120]; DB=1 lets PostgreSQL be
replaced; BUILT=1 says that the release's images were built for this deploy.
"""

from __future__ import annotations

import os
import sys
import time

from deploy.deployment import Deployment, records_path
from deploy.engine import ROOT, Engine
from deploy.progress import DeployError
from deploy.records import SERVING, Records
from deploy.source import tag


def moment(seconds: float) -> str:
    """Local time, as in 2026-11-23 14:05."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def releases(records: Records) -> None:
    """Print the releases, the newest last."""
    if not records.releases:
        print("no release is recorded yet: `make prod-up` starts the first, `make deploy` the next")
        return
    previous, shown = records.previous(), ("RELEASE", "STATE", "DEPLOYED", "SECONDS", "DIGEST", "MIGRATIONS")
    rows = [shown]
    for item in records.releases:
        state = "current" if item.status == SERVING else "previous" if item is previous else item.status
        seconds = f"{item.finished - item.started:.0f}" if item.finished and item.step != "prod-up" else ""
        names = ", ".join(item.migrations) or "-"
        rows.append((item.release, state, moment(item.started), seconds, item.image.partition(":")[2][:12], names))
        if item.reason:
            rows[-1] = (*rows[-1][:-1], f"{names}   {item.reason}")
    widths = [max(len(row[at]) for row in rows) for at in range(len(shown) - 1)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip())


def main(arguments: list[str]) -> int:
    """Run the verb; returns the exit status."""
    os.chdir(ROOT)
    if arguments == ["tag"]:
        print(tag(ROOT))
        return 0
    try:
        records = Records(records_path(os.environ["PROJECT"]))
        deployment = Deployment(Engine(os.environ["PROJECT"]), records)
        match arguments:
            case ["deploy"]:
                os.nice(10)
                deployment.deploy(os.environ["RELEASE"])
            case ["rollback"]:
                deployment.rollback()
            case ["note"]:
                deployment.note_running()
            case ["differs"]:
                return 0 if deployment.differs(os.environ["RELEASE"]) else 1
            case ["releases"]:
                releases(records)
            case _:
                raise DeployError("usage: python -m deploy deploy|rollback|releases|note|differs|tag")
    except DeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
