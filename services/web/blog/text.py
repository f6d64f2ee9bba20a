"""Text as people type it made into what is stored: clean, comparable, usable in an address. Right in Chinese too."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

LONGEST_SLUG = 100

# What PostgreSQL (NUL) or XML (the others) refuses, and single surrogates; line ends and tabs are text.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# They reorder what stands around them: in one line, a name that reads as another.
DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")


def clean_text(text: str) -> str:
    """`text` with its line ends as \\n and without control characters."""
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def clean_line(text: str) -> str:
    """`text` as one line: no control or direction characters, white space collapsed."""
    return " ".join(DIRECTION.sub("", clean_text(text)).split())


def folded(text: str) -> str:
    """The key under which two names are the same: NFKC, case folded, one space between words.

    Folding can undo the normalisation, so it is done again (Unicode, chapter 3.13, D146).
    """
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(unicodedata.normalize("NFKC", once.casefold()).split())


def slug_of(text: str, fallback: str) -> str:
    """`text` as a part of an address: its letters and digits of any script, joined by hyphens; `fallback` if none.

    At most LONGEST_SLUG characters, cut between words where there are any.
    """
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", clean_text(text)).lower())
    slug = "-".join(words)
    if len(slug) > LONGEST_SLUG:
        cut = slug[: LONGEST_SLUG + 1].rpartition("-")[0]
        slug = cut if len(cut) > LONGEST_SLUG // 2 else slug[:LONGEST_SLUG]
    return slug.strip("-") or fallback


def free_slug(slug: str, is_taken: Callable[[str], bool]) -> str:
    """`slug`, or with -2, -3 … the first for which `is_taken` is false."""
    candidate, number = slug, 1
    while is_taken(candidate):
        number += 1
        candidate = f"{slug[: LONGEST_SLUG - 8]}-{number}"
    return candidate
