"""`make bench`: measures what the project promises, prints a table, keeps it in build/bench.json. Never a test.

python -m tests.bench [start] [seed] [search] [images] [build] [memory]     (default: all that this machine can do)

Parts that are named are kept on their own: `build`, which is `make bench-build`, in build/bench-build.json.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.bench.build import CHANGES, Build, remove_images
from tests.bench.build import build as build_copy
from tests.stack.http import Client
from tests.stack.local import ROOT, LocalStack, copy_checkout, free_port
from tests.stack.needs import docker_answers

IMAGE_LIMITS = {"base": 100, "web": 260, "proxy": 140, "db": 450}
SEED_ARTICLES = 20_000
SEARCHED_ARTICLES = 100_000
# A word that most articles in Chinese have: reported, as no index makes it selective.
COMMON = "数据"


@dataclass
class Figure:
    """One measured figure and its budget, both in `unit`; without a budget it is only reported.

    `note` is printed beside it, `details` are only kept.
    """

    name: str
    value: float
    unit: str
    budget: float | None = None
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def verdict(self) -> str:
        if self.budget is None:
            return ""
        over = self.value - self.budget
        return "ok" if over <= 0 else f"over by {over:.1f} {self.unit} ({over / self.budget:.0%})"

    def remark(self) -> str:
        """What stands beside the figure in the table."""
        return "  ".join(filter(None, (self.verdict(), self.note)))


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the checkout in a directory of its own, removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="slipway-bench-"))
    try:
        yield copy_checkout(directory / "slipway")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def first_page(stack: LocalStack) -> float:
    """Seconds from `make` to the first page that answers 200."""
    started = time.monotonic()
    stack.start()
    assert stack.http.get("/").status == 200
    return time.monotonic() - started


def start() -> list[Figure]:
    """`make dev` on an empty checkout, with its own virtual environment, and a second time."""
    with copied() as checkout:
        stack = LocalStack(checkout, "dev", VENV=".venv")
        try:
            empty = first_page(stack)
            stack.stop()
            again = first_page(stack)
        finally:
            stack.make("down", check=False)
    return [
        Figure("local engine: first page, empty checkout", empty, "s", 90),
        Figure("local engine: first page, second start", again, "s", 8),
    ]


def seed() -> list[Figure]:
    """Generated articles a second."""
    with copied() as checkout:
        stack = LocalStack(checkout, "prod")
        try:
            stack.start()
            started = time.monotonic()
            stack.make("seed", f"SCALE={SEED_ARTICLES}", timeout=900)
            seconds = time.monotonic() - started
        finally:
            stack.make("down", check=False)
    return [Figure(f"seed SCALE={SEED_ARTICLES}", SEED_ARTICLES / seconds, "articles/s")]


def search() -> list[Figure]:
    """Searching many articles: in the application alone, and whole pages beside the front page of the same site."""
    with copied() as checkout:
        stack = LocalStack(checkout, "prod")
        try:
            stack.start()
            stack.make("seed", f"SCALE={SEARCHED_ARTICLES}", timeout=1800)
            program = (ROOT / "tests/bench/searching.py").read_text()
            shell = subprocess.run(
                [sys.executable, "-m", "local", "manage", "shell", "--verbosity=0"],
                cwd=checkout,
                env=stack.environment,
                input=program,
                capture_output=True,
                text=True,
                check=True,
            )
            runs: dict[str, list[float]] = json.loads(shell.stdout)
            figures = [
                search_figure(f"{SEARCHED_ARTICLES} articles, search: {query}", times, None if query == COMMON else 50)
                for query, times in runs.items()
            ]
            pages = {"front page": "/", **{f"page of {query}": f"/search/?{urlencode({'q': query})}" for query in runs}}
            for what, address in pages.items():
                figures.append(search_figure(f"{SEARCHED_ARTICLES} articles, {what}", page_times(stack, address)))
        finally:
            stack.make("down", check=False)
    return figures


def search_figure(name: str, times: list[float], budget: float | None = None) -> Figure:
    """The median of `times`, in ms."""
    return Figure(name, statistics.median(times), "ms", budget, f"quickest {min(times):.1f}, slowest {max(times):.1f}")


def page_times(stack: LocalStack, address: str) -> list[float]:
    """How long a page takes, in ms, again and again; the first time is left out."""
    times = []
    for _ in range(31):
        started = time.monotonic()
        assert stack.http.get(address).status == 200
        times.append((time.monotonic() - started) * 1000)
    return times[1:]


def docker(*arguments: str) -> str:
    """Run docker and return what it printed."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def images() -> list[Figure]:
    """The sum of the files of each image, uncompressed."""
    subprocess.run([ROOT / "bin/build", "base", *(name for name in IMAGE_LIMITS if name != "base")], check=True)
    figures = []
    for name, budget in IMAGE_LIMITS.items():
        container = docker("create", f"slipway/{name}:{os.environ.get('RELEASE') or 'dev'}", "true")
        try:
            export = subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE)
            total = tar_bytes(export)
        finally:
            docker("rm", container)
        figures.append(Figure(f"image {name}", total / 1e6, "MB", budget))
    return figures


def tar_bytes(export: subprocess.Popen[bytes]) -> int:
    """The sum of the sizes of the regular files in a tar stream."""
    import tarfile

    assert export.stdout
    with tarfile.open(fileobj=export.stdout, mode="r|") as archive:
        total = sum(member.size for member in archive if member.isreg())
    export.wait()
    return total


def build() -> list[Figure]:
    """Building all images with no cache, then again after a change of each kind."""
    release = f"bench-{os.getpid()}"
    # A moment of its own, which every step depends on: else results of earlier runs, on other layers, would be found.
    epoch = {"SOURCE_DATE_EPOCH": str(int(time.time()))}
    figures = []
    with copied() as checkout:
        try:
            before = build_copy(checkout, release, "--no-cache", **epoch)
            figures.append(build_figure("build of all images, no cache", before))
            for what, change in CHANGES.items():
                # A change must not be measured with what the one before it left to do.
                before = build_copy(checkout, release, **epoch)
                change(checkout)
                after = build_copy(checkout, release, **epoch)
                budget = None if what == "a Python requirement" else 10
                figures.append(build_figure(f"build after {what}", after, before, budget))
        finally:
            remove_images(release)
    return figures


def build_figure(name: str, done: Build, before: Build | None = None, budget: float | None = None) -> Figure:
    """The seconds of a build, with its steps and layers; a layer of several images counts for each."""
    layers = sum(map(len, done.layers.values()))
    details: dict[str, Any] = {
        "steps": len(done.steps),
        "steps_run": [f"{step.stage}: {step.instruction}" for step in done.run],
        "layers": layers,
        "context_bytes": round(done.sent),
    }
    note = f"{len(done.run)} of {len(done.steps)} steps run, "
    if before:
        details["layers_kept"] = done.kept(before)
        note += f"{done.kept(before)} of {layers} layers kept, "
    return Figure(name, done.seconds, "s", budget, note + f"{done.sent / 1e3:.0f} kB sent", details)


def memory() -> list[Figure]:
    """The proportional set size of all processes of the idle production stack."""
    http, https = free_port(), free_port()
    environment = {
        **os.environ,
        "ENGINE": "docker",
        "PROJECT": "slipway-bench",
        "HTTP_PORT": str(http),
        "HTTPS_PORT": str(https),
    }
    with copied() as checkout:
        run = {"cwd": checkout, "env": environment, "check": True, "stdout": subprocess.DEVNULL}
        try:
            subprocess.run(["make", "prod-up"], **run)  # type: ignore[call-overload]
            client = Client(f"https://localhost:{https}")
            for _ in range(20):
                assert client.get("/").status == 200
            time.sleep(5)
            figures = [Figure("idle memory of the production stack (PSS)", pss("slipway-bench"), "MB", 350)]
        finally:
            subprocess.run(["make", "clean", "DATA=1", "YES=1"], **{**run, "check": False})  # type: ignore[call-overload]
    return figures


def pss(project: str) -> float:
    """PSS in MB of the processes in a project's containers. Needs root to read other users' /proc."""
    total = 0
    for container in docker("ps", "-q", "--filter", f"label=com.docker.compose.project={project}").split():
        for line in docker("top", container, "-o", "pid").split("\n")[1:]:
            rollup = Path(f"/proc/{line.strip()}/smaps_rollup").read_text()
            total += next(int(row.split()[1]) for row in rollup.split("\n") if row.startswith("Pss:"))
    return total / 1000


PARTS: dict[str, Callable[[], list[Figure]]] = {
    "start": start,
    "seed": seed,
    "search": search,
    "images": images,
    "build": build,
    "memory": memory,
}
NEED_DOCKER = {"images", "build", "memory"}


def main(names: list[str]) -> int:
    """Measure the parts named (default: all); returns the exit status, 2 for an unknown name."""
    for name in names:
        if name not in PARTS:
            print(f"error: {name} is not measured; choose from {', '.join(PARTS)}", file=sys.stderr)
            return 2
    figures: list[Figure] = []
    for name, part in PARTS.items():
        if names and name not in names:
            continue
        if name in NEED_DOCKER and not docker_answers():
            print(f"  left out: {name} (no Docker daemon answers)")
            continue
        print(f"  measuring {name} …", flush=True)
        figures += part()
    width = max((len(figure.name) for figure in figures), default=0)
    print()
    for figure in figures:
        budget = f"≤ {figure.budget:g}" if figure.budget is not None else ""
        print(
            f"  {figure.name:<{width}}  {figure.value:10.1f} {figure.unit:<10} {budget:>6}  {figure.remark()}".rstrip()
        )
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    report = {
        "machine": system,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "figures": [asdict(figure) for figure in figures],
    }
    target = ROOT / "build" / f"{'-'.join(['bench', *names])}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\n  kept in {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
