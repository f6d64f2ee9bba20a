"""Votes and the counters that follow them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from blog import counters
from blog.models import Article, Vote
from blog.ranking import score
from blog.voting import VotingError, vote
from tests.web.builders import a_comment, a_user, an_article, later


def counts(article: Article) -> tuple[int, int]:
    """What the article says."""
    article.refresh_from_db()
    return article.up_count, article.down_count


@pytest.mark.django_db
def test_a_vote_counts() -> None:
    article = an_article()
    vote(article, a_user("reader"), 1)
    assert counts(article) == (1, 0)


@pytest.mark.django_db
def test_a_vote_can_be_changed() -> None:
    article = an_article()
    for value in (1, -1):
        vote(article, a_user("reader"), value)
    assert counts(article) == (0, 1)


@pytest.mark.django_db
def test_a_vote_can_be_taken_back() -> None:
    article = an_article()
    for value in (1, 0):
        vote(article, a_user("reader"), value)
    assert counts(article) == (0, 0)


@pytest.mark.django_db
def test_voting_twice_counts_once() -> None:
    article = an_article()
    for _turn in range(2):
        vote(article, a_user("reader"), 1)
    assert counts(article) == (1, 0)


@pytest.mark.django_db
def test_nobody_votes_for_their_own_article() -> None:
    article = an_article()
    with pytest.raises(VotingError, match="own"):
        vote(article, article.author, 1)
    assert counts(article) == (0, 0)


@pytest.mark.django_db
def test_what_cannot_be_read_cannot_be_voted_for() -> None:
    with pytest.raises(VotingError, match="unpublished"):
        vote(an_article(published_at=later(days=1)), a_user("reader"), 1)


@pytest.mark.django_db
@pytest.mark.parametrize("value", [2, -2, 7])
def test_another_value_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match=str(value)):
        vote(an_article(), a_user("reader"), value)


@pytest.mark.django_db
def test_the_score_follows_the_votes() -> None:
    article = an_article()
    stored = vote(article, a_user("reader"), 1)
    assert stored.score == score(1, 0, article.first_published_at)


@pytest.mark.django_db
def test_the_votes_of_a_deleted_account_are_counted_out() -> None:
    article = an_article()
    vote(article, a_user("reader"), 1)
    vote(article, a_user("stays"), -1)
    a_user("reader").delete()
    assert counts(article) == (0, 1)


@pytest.mark.django_db
def test_deleting_many_accounts_at_once_counts_their_votes_out_too() -> None:
    article = an_article()
    for name in ("one", "two"):
        vote(article, a_user(name), 1)
    type(article.author).objects.filter(username__in=["one", "two"]).delete()
    assert counts(article) == (0, 0)


@pytest.mark.django_db
def test_saving_an_article_that_was_loaded_before_a_vote_keeps_the_vote() -> None:
    article = an_article()
    loaded = Article.objects.get(pk=article.pk)
    vote(article, a_user("reader"), 1)
    loaded.title = "Another title"
    loaded.save()
    assert counts(article) == (1, 0)


@pytest.mark.django_db
def test_a_recount_mends_what_is_wrong_and_says_how_much() -> None:
    article, other = an_article(), an_article(title="Other")
    a_comment(article)
    Vote.objects.create(article=article, voter=a_user("reader"), value=-1)
    Article.objects.filter(pk=article.pk).update(up_count=7, comment_count=9)
    assert counters.recount([article.pk, other.pk]) == 1
    assert (*counts(article), article.comment_count) == (0, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_one_readers_votes_at_one_moment_count_once_and_many_readers_all() -> None:
    article = an_article()
    readers = [a_user(f"reader{number}") for number in range(4)]

    def cast(number: int) -> None:
        try:
            vote(article, readers[number % 4], 1)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(cast, range(24)))
    assert counts(article) == (4, 0)
    assert Vote.objects.count() == 4
