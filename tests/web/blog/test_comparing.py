"""How two texts differ."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blog.comparing import Row, compare


def shown(rows: list[Row], kind: str) -> list[str]:
    """The lines of a kind, with what changed in brackets."""
    return [
        "".join(f"[{text}]" if changed else text for changed, text in row.parts) for row in rows if row.kind == kind
    ]


def test_equal_texts_have_no_rows() -> None:
    assert compare("one\ntwo", "one\ntwo") == []


def test_a_chinese_line_shows_the_characters_that_changed() -> None:
    rows = compare("一条命令就能部署。", "一条命令就能回滚。")
    assert shown(rows, "removed") == ["一条命令就能[部署]。"]
    assert shown(rows, "added") == ["一条命令就能[回滚]。"]


def test_lines_that_share_little_are_whole() -> None:
    assert shown(compare("nothing alike", "第二行"), "added") == ["[第二行]"]


def test_far_lines_are_a_gap() -> None:
    old = "\n".join(f"line {number}" for number in range(40))
    rows = compare(old, old.replace("line 20", "line twenty"))
    assert [row.kind for row in rows] == ["gap", *["equal"] * 3, "removed", "added", *["equal"] * 3, "gap"]


def test_lines_are_numbered_as_in_their_text() -> None:
    rows = compare("a\nb\nc", "a\nc")
    assert [(row.kind, row.old, row.new) for row in rows] == [
        ("equal", 1, 1),
        ("removed", 2, None),
        ("equal", 3, 2),
    ]


@given(st.text("ab中\n", max_size=40), st.text("ab中\n", max_size=40))
def test_the_rows_hold_the_whole_of_each_change(old: str, new: str) -> None:
    rows = compare(old, new)
    for kind, number, lines in (("removed", "old", old.split("\n")), ("added", "new", new.split("\n"))):
        for row in rows:
            if row.kind == kind:
                assert "".join(text for _changed, text in row.parts) == lines[getattr(row, number) - 1]
    assert bool(rows) == (old != new)


@pytest.mark.parametrize(("old", "new"), [("a" * 190_000, "b" * 190_000), ("x\n" * 90_000, "y\n" * 90_000)])
def test_no_large_text_hangs_the_comparison(old: str, new: str) -> None:
    started = time.monotonic()
    compare(old, new)
    assert time.monotonic() - started < 10
