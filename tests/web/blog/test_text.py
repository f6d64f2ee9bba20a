"""Slugs, keys and clean text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blog.text import CONTROL, LONGEST_SLUG, clean_line, clean_text, folded, free_slug, slug_of


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("The life of a request", "the-life-of-a-request"),
        ("一个请求的一生", "一个请求的一生"),
        ("Django 5.2：新特性", "django-5-2-新特性"),
        ("ＡＢＣ", "abc"),
        ("C++", "c"),
        ("🙂🙂", "article"),
        ("--- ---", "article"),
        ("über", "über"),
    ],
)
def test_a_slug_keeps_letters_of_every_script(text: str, slug: str) -> None:
    assert slug_of(text, "article") == slug


@given(st.text())
def test_any_text_gives_a_slug_that_can_be_an_address(text: str) -> None:
    slug = slug_of(text, "article")
    assert re.fullmatch(r"[-\w]+", slug)
    assert len(slug) <= LONGEST_SLUG
    assert not slug.startswith("-")
    assert not slug.endswith("-")


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(st.text())
def test_clean_text_has_no_control_characters(text: str) -> None:
    assert not CONTROL.search(clean_text(text))
    assert "\r" not in clean_text(text)


def test_names_that_look_alike_fold_to_one() -> None:
    assert folded("Ｄｊａｎｇｏ  Tips") == folded("django tips")


def test_a_line_has_no_line_ends_or_direction_marks() -> None:
    assert clean_line(" a\u202eb\n\tc\0 ") == "ab c"


def test_a_taken_slug_gets_a_number() -> None:
    assert free_slug("c", {"c", "c-2"}.__contains__) == "c-3"
