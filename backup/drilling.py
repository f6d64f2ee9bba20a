"""`make restore-drill`: the newest backup and the WAL after it, restored beside the site without touching it."""

from __future__ import annotations

import json
import time

from backup.recovered import Recovered, recovered
from backup.site import BackupError, Site, docker, last_line
from backup.steps import step

DIRECTORY = "/srv/drill/data"
# Asks the application of the restored site for its readiness and its front page, over its socket, as nginx would.
FETCH = """
import glob, subprocess, sys, time
import serve
server = subprocess.Popen([sys.executable, "serve.py"])
try:
    for attempt in range(300):
        if server.poll() is not None:
            sys.exit("the application does not start on the restored database")
        try:
            socket, = glob.glob("/tmp/web/0-*.sock")
            ready = serve.request(socket, "/readyz")
            break
        except (OSError, ValueError):
            time.sleep(0.1)
    else:
        sys.exit("the application does not answer on the restored database")
    page = serve.request(socket, "/", 20)
    for address, (status, text) in (("/readyz", ready), ("/", page)):
        if status != 200:
            sys.exit(f"{address} answers {status} on the restored database")
    if "</html>" not in text:
        sys.exit("the front page of the restored site is no whole page")
    print(len(text))
finally:
    server.terminate()
    server.wait()
"""


def fetch_page(server: Recovered) -> int:
    """Start the application on the restored cluster and fetch its front page; returns the page's characters."""
    said = docker(
        "run", "--rm", "--init", *server.web_options(),
        # The name that serve.py asks for.
        "--env", "ALLOWED_HOSTS=health.invalid", "--env", "SOCKET_DIR=/tmp/web", "--env", "WEB_PROCESSES=1",
        server.site.image("web"), "sh", "-ec", 'mkdir -p /tmp/web && exec python -c "$0"', FETCH,
    )  # fmt: skip
    return int(last_line(said))


def drill(site: Site) -> None:
    """Restore into a throwaway container, check it in every way, print RPO and RTO, and note the result.

    Raises BackupError with the first thing that is wrong.
    """
    try:
        result = rehearse(site)
    except BackupError as error:
        note(site, {"at": int(time.time()), "ok": False, "by": "make", "error": str(error)})
        raise
    note(site, result)
    print(
        f"\n  passed: {result['rows']} rows as before\n"
        f"  RPO {result['rpo_seconds']} s: from a commit until it was in the repository\n"
        f"  RTO {result['rto_seconds']} s: from the first byte read to the first page"
    )


def note(site: Site, result: dict[str, object]) -> None:
    """Leave the result where `make ps` and `make doctor` find it."""
    text = json.dumps(result)
    site.execute("/opt/db/backup/drill", "result", text)


def rehearse(site: Site) -> dict[str, object]:
    """The steps of the drill; returns what it measured."""
    with step("pgbackrest verify, and every upload read"):
        site.execute("/opt/db/backup/drill", "repository")
    with step("A note in the database, and its way into the repository"):
        name, xid, rpo = site.execute("/opt/db/backup/drill", "mark").split()
    with site.scratch_volume("drill") as volume:
        mount = ("--volume", f"{volume}:/srv/drill")
        started = time.monotonic()
        with step("The newest backup, into a container of its own"):
            site.once("restore", "fetch", DIRECTORY, "xid", xid, options=mount)
        with recovered(site, DIRECTORY, *mount) as server:
            with step("The WAL up to the note, and pg_amcheck"):
                server.verify()
            with step("Every table's rows, and the checksum of all articles"):
                rows = int(server.script("drill", "compare", name))
            with step("migrate --check"):
                if not server.migrated():
                    raise BackupError("migrate --check: the site's code expects another schema than the restored one")
            with step("The front page, from the site's code on the restored database"):
                fetch_page(server)
            rto = round(time.monotonic() - started)
    return {"at": int(time.time()), "ok": True, "by": "make", "rows": rows, "rpo_seconds": int(rpo), "rto_seconds": rto}
