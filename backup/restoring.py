"""`make restore`: the database and the uploads as they were, restored beside what there is, tried, and swapped in."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import time
from collections.abc import Iterator

from backup import uploads
from backup.listing import size
from backup.moments import backups, check, oldest, parse
from backup.recovered import recovered
from backup.site import BackupError, Site, docker
from backup.steps import step

VOLUME = "/var/lib/postgresql"
# What a service may take to stop; Docker kills it afterwards.
GRACE = {"web": 45, "worker": 45, "db": 90, "backup": 30}
HEALTHY_SECONDS = 600


def cluster_mount(site: Site) -> tuple[str, str]:
    """The option that gives a container the database's volume."""
    return ("--volume", f"{site.volume('pgdata')}:{VOLUME}")


def interrupted(number: int, frame: object) -> None:
    """A signal is an error like another: what was stopped is started again."""
    raise BackupError(f"interrupted by {signal.Signals(number).name}: nothing has changed")


def heed_signals() -> None:
    """From here on, a signal ends the verb in order."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)


def hold_signals() -> None:
    """From here on, what has been begun is finished."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stopped(site: Site) -> Iterator[None]:
    """The site is stopped for the block and started again after it; what did not run stays stopped."""
    running = {service: site.containers(service, running=True) for service in ("web", "worker", "db", "backup")}
    try:
        for service in ("web", "worker"):
            for container in running[service]:
                docker("stop", "--time", str(GRACE[service]), container)
        if running["db"] and running["backup"]:
            with step("The last transactions and uploads into the repository"), contextlib.suppress(BackupError):
                site.execute("/opt/db/backup/restore", "flush")
        for service in ("db", "backup"):
            for container in running[service]:
                docker("stop", "--time", str(GRACE[service]), container)
        yield
    finally:
        hold_signals()
        if any(running.values()):
            with step("The site again"):
                for service in ("backup", "db", "worker", "web"):
                    for container in running[service]:
                        docker("start", container)
                    if service == "db":
                        wait_healthy(running["db"])
                wait_healthy(running["web"])


def wait_healthy(containers: list[str]) -> None:
    """Wait until each is healthy. Raises BackupError when one is not in time."""
    deadline = time.monotonic() + HEALTHY_SECONDS
    for container in containers:
        while docker("inspect", "--format", "{{.State.Health.Status}}", container).strip() != "healthy":
            if time.monotonic() > deadline:
                raise BackupError("the site does not become healthy: see `make ps` and `make logs`")
            time.sleep(0.2)


def restore(site: Site, to: str, force: bool) -> None:
    """Restore to the moment `to`, or with an empty one to the end of the archive.

    Raises BackupError, and leaves everything as it was, when that cannot be done.
    """
    moment = parse(to, dt.datetime.now(dt.UTC)) if to else None
    report = site.report()
    if moment:
        check(moment, report)
    oldest(report)
    if report["kept"]:
        raise BackupError(
            "the cluster of before the last restore or upgrade is still kept: "
            "`make restore-confirm` deletes it, `make restore-undo` goes back to it"
        )
    live = [service for service in ("web", "worker", "db") if site.running(service)]
    if live and not force:
        raise BackupError(f"the site runs ({', '.join(live)}): FORCE=1 stops it, restores, and starts it again")
    needed = backups(report)[-1]["info"]["size"] * 1.1
    if report["free"] < needed:
        raise BackupError(f"no room to restore beside the database: {size(report['free'])} free, {size(needed)} needed")
    heed_signals()
    remove_leftovers(site)
    print(f"restoring {site.project} to {f'{moment:%Y-%m-%d %H:%M:%S%z}' if moment else 'the newest there is'}")
    with stopped(site):
        beside(site, moment)
    print(
        "\n  restored: look at the site\n"
        "  `make restore-confirm` deletes the old cluster, `make restore-undo` goes back to it"
    )


def remove_leftovers(site: Site) -> None:
    """End what an interrupted restore has left running, and remove what it has left in the volume."""
    remove_trials(site)
    site.once("restore", "tidy", options=cluster_mount(site))


def remove_trials(site: Site) -> None:
    """Remove what an interrupted verb has left of the server of a cluster on trial: containers, and volumes."""
    for container in docker("ps", "--all", "--quiet", "--filter", f"label=slipway.recovered={site.project}").split():
        docker("rm", "--force", container)
    for volume in site.scratch_volumes():
        # It may be a drill's that runs.
        with contextlib.suppress(BackupError):
            docker("volume", "rm", volume)


def beside(site: Site, moment: dt.datetime | None) -> None:
    """Restore, try, and swap, with the site stopped."""
    mount, restoring = cluster_mount(site), f"{VOLUME}/{site.major()}/restoring/data"
    target = ("time", f"{moment:%Y-%m-%d %H:%M:%S.%f%z}") if moment else ("latest",)
    with step("The newest backup before that, beside the database"):
        site.once("restore", "fetch", restoring, *target, options=mount)
    with recovered(site, restoring, *mount) as server:
        with step("The WAL after it, and pg_amcheck"):
            last = server.verify()
        print(f"     last transaction: {last}")
        with step("The schema, with the site's code"):
            if not server.migrated():
                server.migrate()
    with step("The uploads of that moment"):
        plan = uploads.plan(site, moment or dt.datetime.now(dt.UTC))
        replaced = set(plan.replaced)
        # New ones harm nobody; a changed one has to wait for the database.
        uploads.add(site, [line for line in plan.fetch if line.split(" ", 2)[2] not in replaced])
    hold_signals()
    with step("The swap"):
        site.once("restore", "swap", options=mount)
        uploads.set_aside(site, plan.replaced + plan.extra)
        uploads.add(site, [line for line in plan.fetch if line.split(" ", 2)[2] in replaced])


def confirm(site: Site) -> None:
    """Delete what the last restore has kept."""
    site.once("restore", "confirm", options=cluster_mount(site))
    uploads.forget(site)
    print("the old cluster and the uploads that were set aside are deleted")


def undo(site: Site, force: bool) -> None:
    """Go back to the cluster of before the last restore; what was written since is lost with the restored one."""
    if not site.report()["kept"]:
        raise BackupError("no restore waits for a confirmation: there is nothing to go back to")
    if site.running("db") and not force:
        raise BackupError(
            "the site runs: FORCE=1 stops it, goes back, and starts it again; what was written since is lost"
        )
    mount = cluster_mount(site)
    with stopped(site):
        with step("The swap back"):
            site.once("restore", "undo", options=mount)
            uploads.put_back(site)
        with (
            step("A timeline of its own for the old cluster"),
            recovered(site, f"{VOLUME}/{site.major()}/data", *mount) as server,
        ):
            server.verify()
    print("\n  back: the cluster of before the restore is the site's again")
