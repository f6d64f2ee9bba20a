"""Keeps an article's counters and score equal to the rows they count.

Every change of a vote or of a comment's visibility locks the article, changes the rows, and recounts here, in one
transaction (blog.voting, blog.commenting). Votes also go with the account that cast them: the receivers see to those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Count, Q
from django.db.models.signals import post_delete, pre_delete

from blog import ranking
from blog.models import Article, Comment, Vote

BATCH = 500


def lock(article_id: int) -> Article:
    """The article, with its row locked to the end of the transaction. Raises Article.DoesNotExist."""
    return Article.objects.select_for_update(of=("self",)).defer("body", "body_html").get(pk=article_id)


def recount(article_ids: Iterable[int]) -> int:
    """Set the counters and the score of these articles to what their rows say; returns how many were wrong."""
    wrong = 0
    ids = sorted(set(article_ids))
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        with transaction.atomic():
            wrong += recount_batch(batch)
    return wrong


def recount_batch(ids: list[int]) -> int:
    """recount() for a few articles, whose rows it locks in the order of their ids."""
    articles = (
        Article.objects.select_for_update()
        .filter(pk__in=ids)
        .order_by("pk")
        .only("comment_count", "up_count", "down_count", "score", "first_published_at")
    )
    locked = list(articles)
    votes = {
        row["article"]: (row["up"], row["down"])
        for row in Vote.objects.filter(article__in=ids)
        .order_by()
        .values("article")
        .annotate(up=Count("pk", filter=Q(value=1)), down=Count("pk", filter=Q(value=-1)))
    }
    visible = Comment.objects.visible().filter(article__in=ids).order_by().values("article")
    comments = {row["article"]: row["count"] for row in visible.annotate(count=Count("pk"))}
    changed = []
    for article in locked:
        stored = (article.comment_count, article.up_count, article.down_count, article.score)
        article.comment_count = comments.get(article.pk, 0)
        article.up_count, article.down_count = votes.get(article.pk, (0, 0))
        article.score = ranking.score(article.up_count, article.down_count, article.first_published_at)
        if stored != (article.comment_count, article.up_count, article.down_count, article.score):
            changed.append(article)
    Article.objects.bulk_update(changed, ["comment_count", "up_count", "down_count", "score"])
    return len(changed)


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
