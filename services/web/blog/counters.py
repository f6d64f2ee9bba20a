"""Keeps an article's counters and score equal to the rows they count.

Every change of a vote or of a comment's visibility locks the article, changes the rows, and recounts here, in one
transaction (blog.voting, blog.commenting). Votes also go with the account that cast them: the receivers see to those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Count, Q
from django.db.models.signals import post_delete, pre_delete

from blog import ranking
from blog.models import Article, Comment, Vote

BATCH = 500
COUNTERS = ("comment_count", "up_count", "down_count", "score")


def lock(article_id: int) -> Article:
    """The article, with its row locked to the end of the transaction. Raises Article.DoesNotExist."""
    return Article.objects.select_for_update(of=("self",)).defer("body", "body_html").get(pk=article_id)


class Difference(NamedTuple):
    """A counter of an article that is not what its rows say."""

    article: int
    counter: str
    stored: float
    counted: float


def recount(article_ids: Iterable[int]) -> int:
    """Set the counters and the score of these articles to what their rows say; returns how many were wrong."""
    ids = sorted(set(article_ids))
    wrong: set[int] = set()
    for start in range(0, len(ids), BATCH):
        wrong.update(difference.article for difference in mended(ids[start : start + BATCH]))
    return len(wrong)


@transaction.atomic
def mended(ids: list[int]) -> list[Difference]:
    """Set the counters of a few articles right, whose rows it locks in the order of their ids; returns what was not."""
    articles = Article.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    locked = list(articles.only(*COUNTERS, "first_published_at"))
    found = differences(locked)
    by_id = {article.pk: article for article in locked}
    for difference in found:
        setattr(by_id[difference.article], difference.counter, difference.counted)
    changed = {difference.article for difference in found}
    Article.objects.bulk_update([by_id[pk] for pk in sorted(changed)], COUNTERS)
    return found


def differences(articles: list[Article]) -> list[Difference]:
    """Where the counters of `articles` are not what their rows say."""
    ids = [article.pk for article in articles]
    votes = {
        row["article"]: (row["up"], row["down"])
        for row in Vote.objects.filter(article__in=ids)
        .order_by()
        .values("article")
        .annotate(up=Count("pk", filter=Q(value=1)), down=Count("pk", filter=Q(value=-1)))
    }
    visible = Comment.objects.visible().filter(article__in=ids).order_by().values("article")
    comments = {row["article"]: row["count"] for row in visible.annotate(count=Count("pk"))}
    found = []
    for article in articles:
        up, down = votes.get(article.pk, (0, 0))
        score = ranking.score(up, down, article.first_published_at)
        for counter, counted in zip(COUNTERS, (comments.get(article.pk, 0), up, down, score), strict=True):
            if (stored := getattr(article, counter)) != counted:
                found.append(Difference(article.pk, counter, stored, counted))
    return found


def check(repair: bool = False) -> Iterator[Difference]:
    """Every counter of every article that is not what its rows say, mended if `repair`.

    Articles are read in batches without a lock; those that seem wrong are looked at again with one, as somebody may
    have voted in between.
    """
    last = 0
    while batch := list(
        Article.objects.filter(pk__gt=last).order_by("pk").only(*COUNTERS, "first_published_at")[:BATCH]
    ):
        last = batch[-1].pk
        if doubtful := sorted({difference.article for difference in differences(batch)}):
            with transaction.atomic():
                yield from mended(doubtful) if repair else confirmed(doubtful)


def confirmed(ids: list[int]) -> list[Difference]:
    """What is wrong with these articles while nobody can change them."""
    articles = Article.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    return differences(list(articles.only(*COUNTERS, "first_published_at")))


def remember_votes(instance: Any, **_: object) -> None:
    """Receiver: which articles an account that is being deleted has voted on."""
    instance.voted_articles = list(Vote.objects.filter(voter=instance).values_list("article", flat=True))


def recount_votes(instance: Any, **_: object) -> None:
    """Receiver: its votes are gone; count again."""
    recount(instance.voted_articles)


def connect() -> None:
    """Connect the receivers."""
    pre_delete.connect(remember_votes, sender=get_user_model(), dispatch_uid="remember_votes")
    post_delete.connect(recount_votes, sender=get_user_model(), dispatch_uid="recount_votes")
