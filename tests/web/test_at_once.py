"""Requests at one moment, each with a connection of its own, as several workers take them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from blog.models import Autosave, Comment, Vote
from config import limits
from tests.web.blog.test_responding import at_once, browser
from tests.web.builders import a_user, an_article

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_counts_remain() -> Iterator[None]:
    """The limits' table is no model's, so nothing else empties it."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE config_limit")


def posting(client: Client, address: str, data: dict[str, Any]) -> Callable[[], int]:
    """A POST to be made later; it says its status."""
    return lambda: client.post(address, data).status_code


@pytest.mark.parametrize("new", [True, False])
def test_of_two_tabs_that_autosave_at_one_moment_one_is_kept_and_one_warned(new: bool) -> None:
    article = an_article()
    address = "/write/new/autosave/" if new else f"/write/{article.pk}/autosave/"
    version = 0 if new else article.version
    for turn in range(4):
        Autosave.objects.all().delete()
        texts = {f"tab{turn}{number}": f"Words of {number}." for number in range(2)}
        statuses = at_once(
            [
                posting(browser("ann"), address, {"title": "A", "body": body, "version": version, "tab": tab})
                for tab, body in texts.items()
            ]
        )
        assert sorted(statuses) == [200, 409]
        kept = Autosave.objects.get()
        assert kept.body == list(texts.values())[statuses.index(200)]


def test_a_limit_holds_over_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = limits.Rates(address=limits.Rate(100, 60), account=limits.Rate(3, 60))
    monkeypatch.setitem(limits.RATES, "comment", rates)
    article = an_article()
    statuses = at_once(
        [posting(browser(), f"/comments/on/{article.pk}/", {"body": f"Words {number}."}) for number in range(8)]
    )
    assert Counter(statuses) == {302: 3, 429: 5}
    article.refresh_from_db()
    assert Comment.objects.count() == article.comment_count == 3


def test_one_readers_changes_of_mind_at_one_moment_leave_one_vote_that_is_counted() -> None:
    article, reader = an_article(), a_user("reader")
    for _turn in range(4):
        values = ["1", "-1", "0", "1", "-1", "1"]
        statuses = at_once([posting(browser(), f"/votes/{article.pk}/", {"value": value}) for value in values])
        assert statuses == [302] * len(values)
        article.refresh_from_db()
        votes = list(Vote.objects.filter(voter=reader).values_list("value", flat=True))
        assert len(votes) <= 1
        assert (article.up_count, article.down_count) == (votes.count(1), votes.count(-1))
