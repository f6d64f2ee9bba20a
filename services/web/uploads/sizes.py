"""The sizes of a picture: how their files are called, and how a page names them.

The original is `pictures/ab/abcd….jpg` (or .png); 480 pixels wide as AVIF it is `pictures/ab/abcd…-480.avif`. All of it
follows from the original's name and width, so that a page needs to know only whether the files are there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from django.conf import settings

FOLDER = "pictures"
ORIGINALS = ("jpg", "png")
WIDTHS = (480, 960, 1600)
STEM = re.compile(rf"{FOLDER}/(?P<shard>[0-9a-f]{{2}})/(?P=shard)[0-9a-f]{{30}}")
SRCSET = re.compile(r"(?:(?:^|, )/media/pictures/[0-9a-f]{2}/[0-9a-f]{32}(?:-\d+)?\.(?:avif|webp|jpg|png) \d+w)+")
# The width of an article's text (site.css: --measure, --gutter), and of a cover.
IN_TEXT = "(min-width: 45rem) 41rem, 92vw"


class Source(NamedTuple):
    """One <source>: a type, and the files that it may be loaded from."""

    type: str
    srcset: str


class Shown(NamedTuple):
    """What a page must know of a picture: its size in pixels and, once they are there, its sources."""

    width: int
    height: int
    sources: tuple[Source, ...] = ()


def widths(width: int) -> list[int]:
    """The widths that a picture `width` pixels wide is offered in, its own last."""
    return [*(smaller for smaller in WIDTHS if smaller < width), width]


def variant(name: str, width: int, extension: str) -> str:
    """The name of a size of the picture called `name`."""
    return f"{name.rpartition('.')[0]}-{width}.{extension}"


def fallback(name: str) -> str:
    """The extension of the format that every browser shows."""
    return name.rpartition(".")[2]


def files(name: str, width: int) -> list[tuple[str, int, str]]:
    """All sizes of a picture: name, width, extension. The original itself is its largest JPEG or PNG."""
    made = [(size, extension) for size in widths(width) for extension in ("avif", "webp", fallback(name))]
    return [
        (variant(name, size, extension), size, extension)
        for size, extension in made
        if (size, extension) != (width, fallback(name))
    ]


def srcset(name: str, width: int, extension: str) -> str:
    """The files of one format, as the attribute of that name."""
    found = []
    for size in widths(width):
        original = size == width and extension == fallback(name)
        found.append(f"{settings.MEDIA_URL}{name if original else variant(name, size, extension)} {size}w")
    return ", ".join(found)


def sources(name: str, width: int) -> list[Source]:
    """The better formats, best first, then the one that every browser shows."""
    types = {"avif": "image/avif", "webp": "image/webp", "jpg": "image/jpeg", "png": "image/png"}
    return [Source(types[extension], srcset(name, width, extension)) for extension in ("avif", "webp", fallback(name))]


def smallest(name: str, width: int) -> str:
    """The name of the smallest JPEG or PNG."""
    size = widths(width)[0]
    return name if size == width else variant(name, size, fallback(name))
