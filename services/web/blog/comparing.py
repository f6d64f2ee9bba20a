"""Two texts side by side: which lines differ, and within a line which characters, as Chinese has no words to cut at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import zip_longest

CONTEXT = 3
# Longer lines are compared whole: the time grows with the product of their lengths.
LONGEST_LINE = 2000
# More rows are no comparison that anybody reads.
MOST_ROWS = 2000


@dataclass(frozen=True)
class Row:
    """A line of the comparison: equal, removed, added, or a gap of lines that are equal and not shown.

    `parts` are pieces of its text, each with whether it differs.
    """

    kind: str
    old: int | None = None
    new: int | None = None
    parts: list[tuple[bool, str]] = field(default_factory=list)


def within(old: str, new: str) -> tuple[list[tuple[bool, str]], list[tuple[bool, str]]]:
    """The pieces of two lines, each with whether it differs from the other line."""
    if max(len(old), len(new)) > LONGEST_LINE:
        return [(True, old)], [(True, new)]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    # Lines that share little are read better as two whole lines than as confetti.
    if matcher.ratio() < 0.35:
        return [(True, old)], [(True, new)]
    before, after = [], []
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        changed = kind != "equal"
        before += [(changed, old[i1:i2])] if i2 > i1 else []
        after += [(changed, new[j1:j2])] if j2 > j1 else []
    return before, after


def changed_rows(old: list[str], new: list[str], i1: int, j1: int) -> Iterator[Row]:
    """The rows of a group of changed lines that starts at the lines `i1` and `j1`: what went, then what came."""
    pairs = [
        within(one, other) if one is not None and other is not None else None for one, other in zip_longest(old, new)
    ]
    for offset, line in enumerate(old):
        pair = pairs[offset]
        yield Row("removed", i1 + offset + 1, None, pair[0] if pair else [(True, line)])
    for offset, line in enumerate(new):
        pair = pairs[offset]
        yield Row("added", None, j1 + offset + 1, pair[1] if pair else [(True, line)])


def compare(old: str, new: str) -> list[Row]:
    """The rows that show how `new` differs from `old`, with a few equal lines around; none for equal texts.

    After MOST_ROWS they end in a gap.
    """
    before, after = old.split("\n"), new.split("\n")
    rows: list[Row] = []
    end = 0
    for group in SequenceMatcher(None, before, after).get_grouped_opcodes(CONTEXT):
        if old == new or len(rows) > MOST_ROWS:
            break
        if group[0][1] > end:
            rows.append(Row("gap"))
        for kind, i1, i2, j1, j2 in group:
            if kind == "equal":
                rows += [
                    Row("equal", i1 + offset + 1, j1 + offset + 1, [(False, line)])
                    for offset, line in enumerate(before[i1:i2])
                ]
            else:
                rows += changed_rows(before[i1:i2], after[j1:j2], i1, j1)
            end = i2
    if len(rows) > MOST_ROWS or (rows and end < len(before)):
        rows[MOST_ROWS:] = [Row("gap")]
    return rows
