"""The score of recommended articles."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from blog.ranking import EPOCH, MOST_VOTES, score

counts = st.integers(0, 10_000)


def test_an_article_that_was_never_published_has_none() -> None:
    assert score(5, 0, None) == 0


def test_ten_times_the_votes_are_worth_fourteen_days() -> None:
    assert score(9, 0, EPOCH) == score(0, 0, EPOCH + timedelta(days=14)) == 1


def test_down_votes_count() -> None:
    assert score(3, 3, EPOCH) == 0 > score(1, 3, EPOCH)


def test_votes_beyond_the_limit_change_nothing() -> None:
    assert score(MOST_VOTES, 0, EPOCH) == score(MOST_VOTES * 100, 0, EPOCH)


@given(counts, counts, st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=900)))
def test_with_equal_votes_the_later_article_is_never_behind(up: int, down: int, gap: timedelta) -> None:
    assert score(up, down, EPOCH) <= score(up, down, EPOCH + gap)


@given(counts, counts)
def test_a_further_vote_never_lowers_and_a_vote_against_never_lifts(up: int, down: int) -> None:
    assert score(up + 1, down, EPOCH) >= score(up, down, EPOCH) >= score(up, down + 1, EPOCH)
