"""The uploads: which of them a moment had, and putting them back into their volume."""

from __future__ import annotations

import datetime as dt
import subprocess
from dataclasses import dataclass

from backup.site import HARDENED, TEMPORARY, WEB_USER, BackupError, Site, docker, last_words

# What the restore sets aside, until it is confirmed. nginx is another user, and cannot look into it.
KEPT = ".before-restore"

PRESENT = """
cd /srv/media && find . -mindepth 1 -name '.*' -prune -o -type f -print0 | xargs -0 -r sha256sum --"""
ADD = "cd /srv/media && umask 022 && tar --extract --ignore-zeros --no-same-owner --no-same-permissions"
SET_ASIDE = f"""
cd /srv/media && (umask 077 && mkdir -p {KEPT}) && cd {KEPT}
while IFS= read -r path; do mkdir -p "$(dirname "$path")" && mv "../$path" "$path"; done"""
PUT_BACK = f"""
cd /srv/media && [ -d {KEPT} ] || exit 0
cd {KEPT}
find . -type f -print |
  while IFS= read -r path; do mkdir -p "../$(dirname "$path")" && mv "$path" "../$path"; done
cd .. && rm -rf {KEPT}"""
FORGET = f"rm -rf /srv/media/{KEPT}"


@dataclass(frozen=True)
class Plan:
    """What has to happen to the uploads: lines of the repository's list to fetch, and paths to set aside before."""

    fetch: list[str]
    replaced: list[str]
    extra: list[str]


def _container(site: Site, script: str) -> list[str]:
    """A command that runs a shell script as the site's user on the volume of the uploads."""
    return [
        "run", "--rm", "--interactive", "--network", "none", "--user", WEB_USER, *HARDENED, *TEMPORARY,
        "--volume", f"{site.volume('media')}:/srv/media", "--entrypoint", "bash", site.image("backup"), "-ec", script,
    ]  # fmt: skip


def plan(site: Site, moment: dt.datetime) -> Plan:
    """What makes the uploads what they were at `moment`. Raises BackupError when the repository's lists are damaged."""
    wanted = {}
    # A list is named by the second it was made in.
    for line in site.once("media", "list", str(int(moment.timestamp()))).splitlines():
        checksum, _, path = line.split(" ", 2)
        wanted[path] = (checksum, line)
    present = {}
    for line in docker(*_container(site, PRESENT)).splitlines():
        checksum, path = line.split("  ", 1)
        present[path.removeprefix("./")] = checksum
    missing = [path for path, (checksum, _) in wanted.items() if present.get(path) != checksum]
    return Plan(
        fetch=[wanted[path][1] for path in missing],
        replaced=[path for path in missing if path in present],
        extra=[path for path in present if path not in wanted],
    )


def set_aside(site: Site, paths: list[str]) -> None:
    """Move uploads to where they are kept until the restore is confirmed."""
    if paths:
        docker(*_container(site, SET_ASIDE), stdin="".join(f"{path}\n" for path in paths))


def add(site: Site, lines: list[str]) -> None:
    """Put uploads from the repository into the volume. Raises BackupError when one of them is damaged."""
    if not lines:
        return
    source = [
        "docker", "run", "--rm", "--interactive", *site.repository_mounts(),
        "--entrypoint", "/opt/db/backup/media", site.image("backup"), "fetch",
    ]  # fmt: skip
    with (
        subprocess.Popen(source, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader,
        subprocess.Popen(["docker", *_container(site, ADD)], stdin=reader.stdout, stderr=subprocess.PIPE) as writer,
    ):
        if reader.stdin is None or reader.stdout is None or reader.stderr is None or writer.stderr is None:
            raise BackupError("the uploads cannot be read")
        reader.stdout.close()
        reader.stdin.write("".join(f"{line}\n" for line in lines).encode())
        reader.stdin.close()
        wrong = writer.stderr.read().decode() + reader.stderr.read().decode()
    if reader.returncode or writer.returncode:
        raise BackupError(last_words(wrong))


def put_back(site: Site) -> None:
    """Undo `set_aside`. What was added stays: nothing names it."""
    docker(*_container(site, PUT_BACK))


def forget(site: Site) -> None:
    """Delete what was set aside."""
    docker(*_container(site, FORGET))
