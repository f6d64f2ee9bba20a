"""`make db-upgrade`: whether the image has a newer PostgreSQL than the cluster, and the way there."""

from __future__ import annotations

import re

from backup.site import BackupError, Site, docker


def major_of_image(image: str) -> int:
    """The major version of the PostgreSQL in an image. Raises BackupError when there is no such image."""
    text = docker("run", "--rm", "--network", "none", "--entrypoint", "postgres", image, "--version")
    found = re.search(r"\) (\d+)", text)
    if not found:
        raise BackupError(f"{image} does not say which PostgreSQL it has")
    return int(found[1])


def majors_of_volume(site: Site, image: str) -> list[int]:
    """The major versions of the clusters in the project's volume, ascending."""
    if not site.has_volume("pgdata"):
        raise BackupError(f"the project {site.project} has no database: `make prod-up` makes one")
    script = "cat /var/lib/postgresql/*/data/PG_VERSION 2>/dev/null || true"
    mount = f"{site.volume('pgdata')}:/var/lib/postgresql:ro"
    text = docker(
        "run", "--rm", "--network", "none", "--volume", mount, "--entrypoint", "bash", image, "-c", script
    )  # fmt: skip
    return sorted(int(line) for line in text.split())


def upgrade(site: Site, release: str) -> None:
    """Say how the cluster gets into the PostgreSQL of `release`.

    Raises BackupError when there is nothing to upgrade to.
    """
    image = f"slipway/db:{release}"
    newest, clusters = major_of_image(image), majors_of_volume(site, image)
    if not clusters:
        raise BackupError(f"the project {site.project} has no database: `make prod-up` makes one")
    have = clusters[-1]
    if newest == have:
        raise BackupError(f"nothing to upgrade: the database and {image} are both PostgreSQL {have}")
    if newest < have:
        raise BackupError(f"the database is PostgreSQL {have}'s and {image} is {newest}'s: a database does not go back")
    print(
        f"The database of {site.project} is PostgreSQL {have}'s, {image} is {newest}'s: by a dump.\n"
        "  1. with the old release running:   make export-db FILE=upgrade.dump\n"
        f"  2. make down, then                 make prod-up PROJECT={site.project}-{newest}\n"
        f"  3. make import-db FILE=upgrade.dump PROJECT={site.project}-{newest}, and the uploads (docs/operations.md)\n"
        f"  4. PROJECT={site.project}-{newest} into .env; the old one stays until its volumes are removed"
    )
