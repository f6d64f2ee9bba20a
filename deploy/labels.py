"""How Compose marks the containers of a stack, and how Docker is asked for them."""

from __future__ import annotations

LABEL = "com.docker.compose"


def options(project: str = "", service: str = "", *, oneoff: bool = False, directory: str = "") -> list[str]:
    """Options of `docker ps` that choose the containers of a project, of a service of it, of a checkout's `directory`.

    `oneoff`: those that were made for one command, else those that were not.
    """
    wanted = {"project": project, "service": service, "project.working_dir": directory, "oneoff": str(oneoff)}
    return [part for name, value in wanted.items() if value for part in ("--filter", f"label={LABEL}.{name}={value}")]
