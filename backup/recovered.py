"""A restored cluster on trial: PostgreSQL on it in a container nobody else reaches, and the site's code beside it."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from backup.site import HARDENED, TEMPORARY, WEB_USER, BackupError, Site, docker, last_line

# Where the socket of the cluster is, in both containers.
SOCKET = "/srv/database"


@dataclass(frozen=True)
class Recovered:
    """A server on a restored cluster."""

    site: Site
    container: str
    sockets: str
    directory: str
    # The role that the site's code comes as.
    user: str = "slipway_owner"

    def script(self, name: str, *arguments: str) -> str:
        """Run a script of the backup container beside the server."""
        return docker("exec", self.container, f"/opt/db/backup/{name}", *arguments)

    def verify(self) -> str:
        """Wait until recovery has ended where it should; returns the time of the last transaction.

        Raises BackupError when it has not, or when pg_amcheck finds damage.
        """
        return self.script("restore", "verify", self.directory).strip()

    def web_options(self) -> list[str]:
        """Options that give a web container this cluster, and no network."""
        given = self.site.environment("web") or {"ALLOWED_HOSTS": "localhost", "SITE_URL": "https://localhost"}
        kept = {
            name: value
            for name, value in given.items()
            if name in ("ALLOWED_HOSTS", "SITE_URL", "LANGUAGE_CODE", "TIME_ZONE")
        }
        environment = {
            **kept,
            "DEBUG": "0", "LOG_FORMAT": "text", "LOG_LEVEL": "ERROR", "MEDIA_ROOT": "/srv/media",
            "SECRET_KEY_FILE": "/run/secrets/secret_key", "DATABASE_PASSWORD_FILE": "/run/secrets/app_password",
            "DATABASE_HOST": SOCKET, "DATABASE_NAME": "slipway", "DATABASE_USER": self.user,
        }  # fmt: skip
        return [
            "--network", "none", "--user", WEB_USER, *HARDENED, *TEMPORARY,
            "--volume", f"{self.site.volume('secrets-web')}:/run/secrets:ro",
            "--volume", f"{self.sockets}:{SOCKET}",
            *(part for name, value in environment.items() for part in ("--env", f"{name}={value}")),
        ]  # fmt: skip

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command of the site on this cluster."""
        command = [
            "docker",
            "run",
            "--rm",
            *self.web_options(),
            self.site.image("web"),
            "python",
            "manage.py",
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def migrated(self) -> bool:
        """Whether the schema is the one that the site's code expects."""
        return self.manage("migrate", "--check").returncode == 0

    def migrate(self) -> None:
        """Bring the schema up to what the site's code expects. Raises BackupError when that fails."""
        done = self.manage("migrate", "--no-input")
        if done.returncode:
            raise BackupError(
                f"the site's code does not fit the restored database: {last_line(done.stderr or done.stdout)}"
            )


@contextlib.contextmanager
def recovered(site: Site, directory: str, *mounts: str) -> Iterator[Recovered]:
    """A server on the cluster that was restored to `directory`, for the block; it ends with a clean shutdown."""
    name = f"{site.project}-recovered-{secrets.token_hex(4)}"
    with site.scratch_volume("recovered") as sockets:
        options = [
            *site.repository_mounts(), *mounts, "--volume", f"{sockets}:{SOCKET}", "--env", f"RESTORE_SOCKET={SOCKET}",
            "--label", f"slipway.recovered={site.project}", "--entrypoint", "/opt/db/backup/restore",
        ]  # fmt: skip
        try:
            docker("run", "--detach", "--init", "--name", name, *options, site.image("backup"), "recover", directory)
            yield Recovered(site, name, sockets, directory)
            docker("stop", "--time", "120", name)
        finally:
            with contextlib.suppress(BackupError):
                docker("rm", "--force", name)
