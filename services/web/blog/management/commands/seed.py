"""`manage.py seed`: the sample content, or many generated articles."""

from __future__ import annotations

import argparse
import shutil
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation

from blog import sampling, scaling
from blog.models import Article


def whole_number(value: str) -> int:
    """An argument from 1 to ten million."""
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 10_000_000:
        raise argparse.ArgumentTypeError("a whole number from 1 to 10000000 is needed")
    return int(value)


class Progress:
    """Says how far it is: a bar that redraws itself on a terminal, a line every tenth elsewhere."""

    def __init__(self, out: Any, total: int, done: int) -> None:
        self.out, self.total, self.first = out, total, done
        self.terminal = bool(getattr(out, "isatty", lambda: False)())
        self.started = time.monotonic()
        self.said = -1

    def rate(self, done: int) -> float:
        """Articles a second so far."""
        return (done - self.first) / max(1e-9, time.monotonic() - self.started)

    def __call__(self, done: int) -> None:
        """Hear that there are `done` articles."""
        figures = f"{done:,}/{self.total:,}  {self.rate(done):,.0f}/s"
        if self.terminal:
            width = max(10, min(40, shutil.get_terminal_size().columns - len(figures) - 4))
            filled = width * done // self.total
            end = "\n" if done >= self.total else ""
            self.out.write(f"\r{'█' * filled}{'░' * (width - filled)}  {figures} ", ending=end)
            self.out.flush()
        elif (tenth := 10 * done // self.total) > self.said:
            self.said = tenth
            self.out.write(figures)


class Command(BaseCommand):
    """Deterministic content: running it again adds what is missing and nothing else."""

    help = "Load the sample content, or generate articles for measuring (--scale)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """--if-empty, --scale."""
        parser.add_argument("--if-empty", action="store_true", help="do nothing on a site that has articles")
        parser.add_argument(
            "--scale", type=whole_number, metavar="N", help="generate articles until there are N of them"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load or generate, and say what was added."""
        if options["if_empty"] and Article.objects.exists():
            self.stdout.write("the site has articles already")
            return
        try:
            with translation.override("en"):
                if options["scale"]:
                    self.fill(options["scale"])
                else:
                    self.load()
        except sampling.SampleError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"MEDIA_ROOT cannot be written: {error}") from error

    def load(self) -> None:
        """The sample."""
        started = time.monotonic()
        added = sampling.load()
        if not added.articles:
            self.stdout.write("the sample content is there already")
            return
        self.stdout.write(
            f"sample content: {added.articles} articles, {added.people} people, {added.comments} comments, "
            f"{added.votes} votes in {time.monotonic() - started:.1f} s"
        )

    def fill(self, total: int) -> None:
        """Generated articles."""
        progress = Progress(self.stdout, total, scaling.existing())
        added = scaling.fill(total, progress)
        rate = f" ({progress.rate(total):,.0f} articles a second)" if added else ""
        self.stdout.write(f"{added:,} articles generated, {total:,} are there{rate}")
