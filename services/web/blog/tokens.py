"""Text cut into what a search can find: words, and pairs of characters where a script puts no spaces between words.

A run of Chinese characters abcd becomes the pairs ab, bc, cd and, to close it, the single d. So a word of two
characters is one lexeme, found wherever it stands and nowhere else; a longer one is its pairs, one place apart; and a
single character is the beginning of a pair or closes a run, which a prefix query finds without an index of its own.
Any other word is folded; English words are reduced to their stems by PostgreSQL (blog.search).

Places are counted alike in the index, the query and the text that is highlighted: what is marked is what was found.
PostgreSQL keeps 16,383 positions a document, 255 a lexeme, 2 kB a lexeme and 1 MB a vector (its manual, "Text Search
Limitations"); with texts of at most 200 kB the limits below stay under all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from blog.text import clean_text

MOST_TOKENS = 16_000
MOST_PLACES = 255
LONGEST_WORD = 40
LONGEST_TEXT = 100_000

# The letters of Chinese, Japanese and Korean, as NFKC leaves them.
PAIRED = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
RUN = re.compile(rf"([{PAIRED}]+)|[^\W_{PAIRED}]+")
# What is quoted belongs together; elsewhere white space separates.
PART = re.compile(r"[\"“”„]([^\"“”„]*)[\"“”„]|[^\s\"“”„]+")
STEMMED = re.compile(r"[a-z]+")

Stem = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Token:
    """Something that can be found, and the characters from `start` to `end` of the text that it stands for.

    `last` closes a run of Chinese characters; `lone` is a run of one.
    """

    lexeme: str
    kind: Literal["word", "pair", "last", "lone"]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """One token of a query, so many places after the first of its term."""

    after: int
    lexeme: str
    prefix: bool


Term = tuple[Wanted, ...]


@lru_cache(maxsize=20_000)
def fold_character(character: str) -> str:
    """The character under which all that read the same are equal: full width, capitals, ligatures."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())


def composed(text: str) -> str:
    """`text` as it is indexed: clean, with composed accents (so that each folds alone), not longer than is indexed."""
    return unicodedata.normalize("NFC", clean_text(text))[:LONGEST_TEXT]


def tokens(text: str, most: int = MOST_TOKENS) -> list[Token]:
    """The first `most` tokens of a composed() text; each stands in the list at its place."""
    if text.isascii():
        folded, origin = text.lower(), None
    else:
        pieces = [fold_character(character) for character in text]
        folded = "".join(pieces)
        origin = [place for place, piece in enumerate(pieces) for _ in piece]
    found: list[Token] = []

    def add(lexeme: str, kind: Literal["word", "pair", "last", "lone"], start: int, end: int) -> None:
        first, final = (start, end - 1) if origin is None else (origin[start], origin[end - 1])
        found.append(Token(lexeme, kind, first, final + 1))

    for match in RUN.finditer(folded):
        start, end = match.span()
        if not match.group(1):
            add(match.group()[:LONGEST_WORD], "word", start, end)
        else:
            for place in range(start, min(end - 1, start + most)):
                add(folded[place : place + 2], "pair", place, place + 2)
            add(folded[end - 1], "lone" if end - start == 1 else "last", end - 1, end)
        if len(found) >= most:
            break
    return found[:most]


def words_of(found: Iterable[Token]) -> set[str]:
    """The words among them that have an English stem."""
    return {token.lexeme for token in found if token.kind == "word" and STEMMED.fullmatch(token.lexeme)}


def vector(parts: Sequence[tuple[list[Token], str]], stem: Stem, after: int = 0) -> str:
    """A tsvector as text, of parts each with its weight (A to D); its places begin after `after`, and end at the most
    there may be.
    """
    places: dict[str, list[str]] = {}
    place = after
    for found, weight in parts:
        for token in found:
            place += 1
            if place > MOST_TOKENS:
                break
            lexeme = stem(token.lexeme) if token.kind == "word" else token.lexeme
            entries = places.setdefault(lexeme, [])
            if len(entries) < MOST_PLACES:
                entries.append(f"{place}{weight}")
        # No phrase reaches from one part into the next.
        place += 1
    # Lexemes are letters and digits: nothing in them ends the quotation.
    return " ".join(f"'{lexeme}':{','.join(entries)}" for lexeme, entries in places.items())


def terms(query: str) -> list[Term]:
    """What `query` asks for: each term a word, or words that must follow each other. Empty when it asks for nothing."""
    wanted: dict[Term, None] = {}
    for match in PART.finditer(composed(query)):
        found = tokens(match.group(1) or match.group())
        # The single that closes a run is in its last pair already.
        kept = [(place, token) for place, token in enumerate(found) if token.kind != "last"]
        if kept:
            first = kept[0][0]
            wanted[tuple(Wanted(place - first, token.lexeme, token.kind == "lone") for place, token in kept)] = None
    return list(wanted)


def tsquery(asked: Iterable[Term], stem: Stem) -> str:
    """A tsquery as text that finds what has all terms."""
    return " & ".join(f"({phrase(term, stem)})" for term in asked)


def phrase(term: Term, stem: Stem) -> str:
    """The part of a tsquery for one term."""
    text, before = "", 0
    for wanted in term:
        if text:
            text += f" <{wanted.after - before}> "
        text += f"'{wanted.lexeme}':*" if wanted.prefix else f"'{stem(wanted.lexeme)}'"
        before = wanted.after
    return text


def spans(text: str, asked: Sequence[Term], stem: Stem) -> list[tuple[int, int, int]]:
    """Where in a composed() `text` the terms stand: start, end and the number of the term, in the text's order."""
    found = tokens(text)
    lexemes = [stem(token.lexeme) if token.kind == "word" else token.lexeme for token in found]
    places: dict[str, list[int]] = {}
    for place, token in enumerate(found):
        places.setdefault(lexemes[place], []).append(place)
        if token.kind == "pair":
            places.setdefault(token.lexeme[0], []).append(place)

    def is_at(wanted: Wanted, place: int) -> bool:
        if not 0 <= place < len(found):
            return False
        if wanted.prefix:
            return found[place].kind != "word" and lexemes[place].startswith(wanted.lexeme)
        return lexemes[place] == stem(wanted.lexeme)

    marked = []
    for number, term in enumerate(asked):
        head = term[0]
        for place in places.get(head.lexeme if head.prefix else stem(head.lexeme), []):
            if not all(is_at(wanted, place + wanted.after) for wanted in term):
                continue
            last = found[place + term[-1].after]
            end = last.start + 1 if term[-1].prefix else last.end
            marked.append((found[place].start, end, number))
    return sorted(marked)
