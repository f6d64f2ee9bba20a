"""Text cut into what a search can find."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from blog import tokens

HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=2, max_size=60)
ANY = st.text(max_size=300)
CHINESE_PROSE = st.text(st.sampled_from("中文全检索测试的是，。“”？ \nabcA1"), min_size=1, max_size=80)


def plain(word: str) -> str:
    """No stems."""
    return word


def lexemes(text: str) -> list[str]:
    """The lexemes of `text` in its order."""
    return [token.lexeme for token in tokens.tokens(tokens.composed(text))]


def matches(text: str, query: str) -> bool:
    """Whether PostgreSQL finds `query` in `text`."""
    asked = tokens.terms(query)
    if not asked:
        return False
    vector = tokens.vector([(tokens.tokens(tokens.composed(text)), "C")], plain)
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::tsvector @@ %s::tsquery", [vector, tokens.tsquery(asked, plain)])
        return bool(cursor.fetchone()[0])


def test_chinese_is_cut_into_pairs_and_a_closing_single() -> None:
    assert lexemes("中文检索") == ["中文", "文检", "检索", "索"]


def test_words_and_chinese_are_cut_where_they_meet() -> None:
    assert lexemes("用Django部署uwsgi.ini") == ["用", "django", "部署", "署", "uwsgi", "ini"]


def test_case_width_and_composition_make_no_difference() -> None:
    assert lexemes("ＤＪＡＮＧＯ Cafe\u0301 ﬁsh") == lexemes("django café fish")


def test_a_token_knows_the_characters_it_stands_for() -> None:
    text = "在ＡＢ、全文ﬁ"
    assert [text[token.start : token.end] for token in tokens.tokens(text)] == ["在", "ＡＢ", "全文", "文", "ﬁ"]


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(HAN, st.data())
def test_every_part_of_a_chinese_text_is_found(text: str, data: Any) -> None:
    start = data.draw(st.integers(0, len(text) - 2))
    end = data.draw(st.integers(start + 1, len(text)))
    assert matches(text, text[start : start + 2])
    assert matches(text, text[start:end])


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(CHINESE_PROSE, st.text(st.sampled_from("中文全检索测试的是"), min_size=1, max_size=4))
@example("中文，检索", "文检")
@example("测试", "试")
def test_a_chinese_query_finds_exactly_what_contains_it(text: str, query: str) -> None:
    assert matches(text, query) == (query in text)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("the proxy_pass line", "proxy_pass", True),
        ("a pass for the proxy", "proxy_pass", False),
        ("a pass for the proxy", "proxy pass", True),
        ("a pass for the proxy", '"proxy pass"', False),
        ("a pass for the proxy", "“for the”", True),
        ("用Django部署", "Django部署", True),
        ("部署 Django", "Django部署", False),
        ("我用Django", "用django", True),
        ("你好，世界", "你好，世界", True),
        ("世界，你好", "你好，世界", False),
    ],
)
def test_what_is_written_together_is_found_together(text: str, query: str, found: bool) -> None:
    assert matches(text, query) is found


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(ANY, ANY)
@example("a", "' | ! & ( <-> :* \\ \" a")
@example("a", "a:* & !b | (c <-> d)")
def test_no_query_is_refused_by_postgresql(text: str, query: str) -> None:
    matches(text, query)


LONG = [
    *(
        "中文" * 40_000,
        "".join(map(chr, range(0x4E00, 0x9FFF))) * 3,
        "word " * 40_000,
        "x" * 200_000,
        "\ufdfa" * 66_000,
    ),
    " ".join(f"w{number}" for number in range(25_000)),
    " ".join(chr(0xFC00 + number % 300) * 13 + str(number) for number in range(4_000)),
    "".join(chr(0x20000 + number * 7 % 40_000) for number in range(50_000)),
]


@pytest.mark.django_db
@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_the_longest_texts_stay_within_the_limits_of_a_vector(text: str) -> None:
    found = tokens.tokens(tokens.composed(text))
    vector = tokens.vector([(found, "A"), (found, "C")], plain)
    assert len(found) <= tokens.MOST_TOKENS
    assert max(len(token.lexeme.encode()) for token in found) <= 2046
    assert max(int(place) for place in re.findall(r"[:,](\d+)", vector)) <= 16_383
    with connection.cursor() as cursor:
        cursor.execute("SELECT length(%s::tsvector)", [vector])
        assert cursor.fetchone()[0] > 0


@given(ANY)
def test_tokens_of_any_text_are_short_hold_nothing_to_quote_and_stand_within_it(text: str) -> None:
    text = tokens.composed(text)
    for token in tokens.tokens(text):
        assert not re.search(r"['\\\s]", token.lexeme)
        assert len(token.lexeme) <= tokens.LONGEST_WORD
        assert 0 <= token.start < token.end <= len(text)


def test_only_punctuation_asks_for_nothing() -> None:
    assert [tokens.terms(query) for query in ("", "   ", "，。！", '"" ""', "\0", "🙂", "\u202e")] == [[]] * 7


def test_a_word_asked_for_twice_is_one_term() -> None:
    assert len(tokens.terms("nginx Nginx ＮＧＩＮＸ")) == 1


def test_a_text_is_marked_where_it_was_found_and_not_elsewhere() -> None:
    text = "检索中文，中文检索"
    asked = tokens.terms("中文检索")
    assert [(text[start:end], start) for start, end, _ in tokens.spans(text, asked, plain)] == [("中文检索", 5)]


def test_a_single_character_is_marked_alone() -> None:
    text = "中文中"
    assert [span[:2] for span in tokens.spans(text, tokens.terms("中"), plain)] == [(0, 1), (2, 3)]
