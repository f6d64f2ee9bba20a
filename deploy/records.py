"""What was deployed, when and how it ended: `.secrets/PROJECT/releases.json`, beside what else belongs to the data.

The file is the history, not the truth of what runs: that is asked of Docker. It is replaced whole by a rename, so
that a crash leaves the state before or after.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from deploy.progress import DeployError

# Being deployed; serving, from the smoke test on; served before; never got there; was gone back from.
PREPARING, SERVING, SERVED, FAILED, ROLLED_BACK = "preparing", "serving", "served", "failed", "rolled back"


@dataclass
class Release:
    """One deploy of one release. Times are seconds since 1970; images are ids; `migrations` are those it applied."""

    release: str
    image: str
    generation: int
    started: float
    status: str = PREPARING
    finished: float = 0.0
    migrations: list[str] = field(default_factory=list)
    # Of these, those that take something away.
    contracts: list[str] = field(default_factory=list)
    reason: str = ""
    # The step that it is in, or ended in.
    step: str = ""
    # Its images were built for this deploy, so nobody else misses them.
    built: bool = False
    rollback: bool = False


class Records:
    """The releases of a project, oldest first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.releases: list[Release] = []
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        known = {item.name for item in fields(Release)}
        try:
            self.releases = [
                Release(**{name: value for name, value in item.items() if name in known})
                for item in json.loads(text)["releases"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeployError(f"{path} cannot be read ({error}): move it away, the history begins anew") from None

    def save(self) -> None:
        """Write all of it, whole or not at all, a power cut included."""
        temporary = self.path.with_suffix(".new")
        text = json.dumps({"releases": [asdict(release) for release in self.releases]}, indent=1, ensure_ascii=False)
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o600)
            temporary.rename(self.path)
            directory = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
        except OSError as error:
            raise DeployError(
                f"{self.path} cannot be written ({error.strerror}): make room, or make it writable"
            ) from None

    def current(self) -> Release | None:
        """The release that serves."""
        return next((item for item in reversed(self.releases) if item.status == SERVING), None)

    def previous(self) -> Release | None:
        """The release that served before the current one and was not gone back from."""
        current = self.current()
        if current is None:
            return None
        # What was gone back to stands in the order in which it first came.
        came = next(
            at
            for at, item in enumerate(self.releases)
            if item is current or (current.rollback and item.image == current.image and item.status != FAILED)
        )
        return next(
            (
                item
                for item in reversed(self.releases[:came])
                if item.status == SERVED and (item.release, item.image) != (current.release, current.image)
            ),
            None,
        )

    def kept(self) -> set[str]:
        """The names of the releases whose static files and images must stay: what serves, and what one goes back to."""
        return {item.release for item in (self.current(), self.previous()) if item}

    def beyond(self, target: Release) -> str:
        """Why the schema is too far ahead for the code of `target`; empty when it is not.

        What is taken away is what the release that serves at that moment no longer uses. Another one may still use it.
        """
        serving = target.image
        for item in self.releases[self.releases.index(target) + 1 :]:
            if item.contracts and serving != target.image:
                return f"{item.release} took away what {target.release} may still use ({', '.join(item.contracts)})"
            if item.status in (SERVING, SERVED, ROLLED_BACK):
                serving = item.image
        return ""
