"""Builds the images of a copy of the checkout, changes one file in it, and reads in the builder's log what was done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

IMAGES = ("base", "web", "proxy", "db")
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
# "#17 [web application 3/3] RUN …": image, stage, position; the stage of a Dockerfile that has one only is not named.
STEP = re.compile(r"#(\d+) \[[\w-]+ (?:([\w-]+) )?\d+/\d+\] (?!FROM )(.+)")
END = re.compile(r"#(\d+) (CACHED|CANCELED|DONE)\b")
SENT = re.compile(r"#(\d+) transferring context: ([\d.]+)([kMG]?B)")


@dataclass(frozen=True)
class Step:
    """One step of a Dockerfile's stage; `run` is false when the builder took its result from the cache."""

    stage: str
    instruction: str
    run: bool


@dataclass(frozen=True)
class Build:
    """What one build took: `seconds`, `sent` bytes of context, and each image's layers by digest, lowest first."""

    seconds: float
    sent: float
    steps: list[Step]
    layers: dict[str, list[str]]

    @property
    def run(self) -> list[Step]:
        return [step for step in self.steps if step.run]

    def kept(self, before: Build) -> int:
        """How many layers of the images are those of the build before."""
        return sum(len(set(layers) & set(before.layers[name])) for name, layers in self.layers.items())


def steps(log: str) -> list[Step]:
    """The steps in the builder's plain log. Raises ValueError for one whose end it does not tell.

    What several images need is in it several times: run once and then cached or canceled.
    """
    ends = dict(END.findall(log))
    found: dict[tuple[str, str], bool] = {}
    for number, stage, instruction in STEP.findall(log):
        if number not in ends:
            raise ValueError(f"the log does not say how #{number} ended: {instruction}")
        step = (stage or "base", instruction)
        found[step] = found.get(step, False) or ends[number] == "DONE"
    return [Step(stage, instruction, run) for (stage, instruction), run in found.items()]


def sent(log: str) -> float:
    """Bytes of context that the builder was sent, all images together."""
    last = {number: float(value) * UNITS[unit] for number, value, unit in SENT.findall(log)}
    return sum(last.values())


def layers(image: str) -> list[str]:
    """The digests of an image's layers, uncompressed."""
    shown = subprocess.run(["docker", "image", "inspect", image], check=True, capture_output=True, text=True).stdout
    digests: list[str] = json.loads(shown)[0]["RootFS"]["Layers"]
    return digests


def build(checkout: Path, release: str, *options: str, **environment: str) -> Build:
    """Build all images of a checkout with its own bin/build, tagged `release`. Raises CalledProcessError."""
    started = time.monotonic()
    subprocess.run(
        [checkout / "bin/build", *IMAGES, *options],
        env={**os.environ, "RELEASE": release, "VERBOSE": "0", **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - started
    log = (checkout / "build/build.log").read_text()
    return Build(seconds, sent(log), steps(log), {name: layers(f"slipway/{name}:{release}") for name in IMAGES})


def remove_images(release: str) -> None:
    """Remove the tags that `build` made; what others have tagged stays."""
    for name in IMAGES:
        subprocess.run(["docker", "image", "rm", f"slipway/{name}:{release}"], capture_output=True)


def append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line)


def change_template(checkout: Path) -> None:
    """Another comment at the end of a template."""
    append(checkout / "services/web/templates/404.html", f"{{# {time.time()} #}}\n")


def change_python(checkout: Path) -> None:
    """Another constant at the end of a module."""
    append(checkout / "services/web/blog/ranking.py", f"\nCHANGED = {time.time()}\n")


def change_requirement(checkout: Path) -> None:
    """One more package in the image: a small one of the tests, with its locked hashes."""
    lock = (checkout / "requirements/dev.txt").read_text()
    locked = re.search(r"^iniconfig==.*\n(?: +--hash=.*\n)+", lock, re.MULTILINE)
    assert locked
    # The time makes it another change every time.
    append(checkout / "requirements/web.txt", f"{locked[0]}# {time.time()}\n")
    # A build takes no lock that was edited by hand: sealed as bin/lock seals it.
    script = '. bin/locks.sh; text=$(sed 3d "$1"); seal <<<"$text" >"$1"'
    subprocess.run(["bash", "-euc", script, "seal", "requirements/web.txt"], cwd=checkout, check=True)


CHANGES: dict[str, Callable[[Path], None]] = {
    "a template": change_template,
    "a line of Python": change_python,
    "a Python requirement": change_requirement,
}
