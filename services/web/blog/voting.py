"""Voting for articles: up or down, once a reader, changeable, never for one's own."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from blog import counters
from blog.models import Article, Vote


class VotingError(Exception):
    """This vote may not be cast; `code` says why: own, unpublished."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@transaction.atomic
def vote(article: Article, voter: User, value: int) -> Article:
    """Record that `voter` is for (1) or against (-1) `article`, or neither (0, which takes a vote back).

    Returns the article as stored now. The article's row is locked first, so votes for one article follow each other
    and the counters always equal the rows. Raises VotingError, Article.DoesNotExist, or ValueError for another value.
    """
    if value not in (-1, 0, 1):
        raise ValueError(f"a vote is -1, 0 or 1, not {value}")
    locked = counters.lock(article.pk)
    if locked.author_id == voter.pk:
        raise VotingError("own")
    if not locked.is_public:
        raise VotingError("unpublished")
    if value:
        Vote.objects.update_or_create(article=locked, voter=voter, defaults={"value": value})
    else:
        Vote.objects.filter(article=locked, voter=voter).delete()
    counters.recount([locked.pk])
    locked.refresh_from_db(fields=["up_count", "down_count", "score"])
    return locked
