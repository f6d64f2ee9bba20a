"""Formulas."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blog.maths import mathml
from blog.rendering import render_article, render_comment

X = '<math display="inline"><mrow><mi>x</mi></mrow></math>'


def html(source: str) -> str:
    """What a reader gets."""
    return render_article(source).html


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a $x$ b", f"<p>a {X} b</p>"),
        ("设$x$为", f"<p>设{X}为</p>"),
        ("$$\nx\n$$", f"<p>{X.replace('inline', 'block')}</p>"),
        ("in $$x$$ here", f"<p>in {X.replace('inline', 'block')} here</p>"),
        ("`$x$`", "<p><code>$x$</code></p>"),
        (r"\$x\$", "<p>$x$</p>"),
        ("from $5 to $6", "<p>from $5 to $6</p>"),
        ("$PATH and $HOME", "<p>$PATH and $HOME</p>"),
    ],
)
def test_dollars_are_formulas_where_they_are_no_money(source: str, expected: str) -> None:
    assert html(source) == expected


@pytest.mark.parametrize(
    ("source", "rows", "cells"),
    [
        (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", 2, 4),
        (r"\begin{bmatrix}1&2&3\end{bmatrix}", 1, 3),
        (r"\begin{cases}1&x\\2&y\end{cases}", 2, 4),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", 2, 4),
    ],
)
def test_matrices_have_their_rows(source: str, rows: int, cells: int) -> None:
    output = html(f"$$\n{source}\n$$")
    assert (output.count("<mtr>"), len(re.findall("<mtd", output))) == (rows, cells)


@pytest.mark.parametrize("source", ["^", r"\frac{a", r"\left(", r"\begin{matrix}", "x^1^2", "{" * 1500, "x" * 3000])
def test_a_formula_that_cannot_be_read_shows_its_source(source: str) -> None:
    assert html(f"a ${source}$ b") == f"<p>a <code>${source}$</code> b</p>"


@pytest.mark.parametrize(
    "source",
    [
        r"\text{<img src=x onerror=alert(1)>}",
        r"\text{&lt;script&gt;}",
        r"\href{javascript:alert(1)}{x}",
        r"\style{color:red}{x}",
        r"\class{evil}{x}",
        r"\id{evil}{x}",
        r"\color{red;background:url(//x)}{x}",
        "<script>alert(1)</script>",
    ],
)
def test_no_formula_brings_markup_addresses_or_styles(source: str) -> None:
    output = html(f"${source}$")
    tags = set(re.findall(r"<(\w+)", output))
    assert not tags & {"img", "script", "a", "style", "b"}
    assert not re.search(r"<[^>]*\b(href|style|class|id|onerror|mathcolor)=", output)


def test_a_comment_has_no_formulas() -> None:
    assert render_comment("$x$") == "<p>$x$</p>"


@given(st.lists(st.sampled_from([*r"{}^_&\$<>x1 中", r"\frac", r"\left", r"\text{", r"\begin{matrix}"]), max_size=30))
def test_any_formula_is_mathml_or_no_formula(parts: list[str]) -> None:
    try:
        output = mathml("".join(parts), display=False)
    except ValueError:
        return
    assert output.startswith("<math ")
    assert not re.search(r"<(?!/?m)", output)


def test_many_formulas_do_not_hang_the_renderer() -> None:
    started = time.monotonic()
    output = html("$x$ " * 40_000)
    assert time.monotonic() - started < 10
    assert output.count("<math") == 1000
