"""The verbs of backups and dumps: `python -m backup take|list|…`, see bin/backup, which calls it."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import cast

from backup import dumps, restoring, upgrading
from backup.drilling import drill
from backup.listing import summary, table
from backup.site import ROOT, BackupError, Site, site


def take(found: Site) -> None:
    """Take a backup of the kind that TYPE names, and say where the passphrase is."""
    kind = os.environ.get("TYPE") or "incr"
    if kind not in ("full", "diff", "incr"):
        raise BackupError(f"TYPE={kind} is none of full, diff and incr")
    print(found.execute("/opt/db/backup/take", kind).strip())
    passphrase = (found.secrets() / "backup_passphrase").relative_to(ROOT)
    print(f"its passphrase is in {passphrase}: keep a copy elsewhere, without it no backup can be read")


def flag(name: str) -> bool:
    """Whether a variable is 1. Raises BackupError when it is neither 0 nor 1."""
    value = os.environ.get(name) or "0"
    if value not in ("0", "1"):
        raise BackupError(f"{name}={value} is neither 0 nor 1")
    return value == "1"


def file() -> Path:
    """The file that FILE names. Raises BackupError when it names none."""
    if not os.environ.get("FILE"):
        raise BackupError("which file? FILE=blog.dump")
    return Path(os.environ["FILE"])


def run(verb: str) -> None:
    """Run one verb. Raises BackupError."""
    if verb in ("export", "import"):
        with dumps.local_server() if os.environ.get("ENGINE") == "local" else dumps.docker_server() as server:
            if verb == "export":
                dumps.export(server, file())
            else:
                dumps.import_(server, file(), flag("FORCE"))
        return
    found = site()
    match verb:
        case "take":
            take(found)
        case "list":
            print("\n".join(table(found.report())))
        case "line":
            print(summary(found.report()))
        case "restore":
            with found.turn():
                restoring.restore(found, os.environ.get("TO", ""), flag("FORCE"))
        case "confirm":
            with found.turn():
                before = upgrading.kept_major(found)
                restoring.confirm(found)
                if before:
                    upgrading.confirm(found, before)
        case "undo":
            with found.turn():
                if before := upgrading.kept_major(found):
                    upgrading.undo(found, before, flag("FORCE"))
                else:
                    restoring.undo(found, flag("FORCE"))
        case "drill":
            drill(found)
        case "upgrade":
            runs = found.environment("web").get("RELEASE")
            with found.turn():
                upgrading.upgrade(found, os.environ.get("RELEASE") or runs or "dev", flag("FORCE"))
        case _:
            raise BackupError(f"no such verb: {verb}")


def main() -> int:
    """Run the verb of the command line; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a tick gets a question mark instead of an error.
        cast(io.TextIOWrapper, stream).reconfigure(errors="replace")
    try:
        run(sys.argv[1] if len(sys.argv) > 1 else "list")
    except BackupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
