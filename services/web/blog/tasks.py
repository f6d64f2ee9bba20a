"""Background tasks of the blog."""

from __future__ import annotations

import logging

from django.db.models import QuerySet
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from blog import rendering, search
from blog.models import Article, Comment
from config.lost import idempotent

logger = logging.getLogger(__name__)

BATCH = 100


def stale_articles() -> QuerySet[Article]:
    """Articles whose HTML an older renderer made."""
    return Article.objects.filter(rendered_with__lt=rendering.VERSION).order_by("pk")


def stale_comments() -> QuerySet[Comment]:
    """Comments whose HTML an older renderer made."""
    return Comment.objects.filter(rendered_with__lt=rendering.VERSION).order_by("pk")


def keep_rendering(article: Article) -> None:
    """Store what rendering changed in `article`, unless it was saved meanwhile."""
    Article.objects.filter(pk=article.pk, updated_at=article.updated_at).update(
        body_html=article.body_html,
        excerpt=article.excerpt,
        reading_minutes=article.reading_minutes,
        rendered_with=article.rendered_with,
    )


def rerender_articles(after: int) -> int | None:
    """Render a batch of stale articles with ids above `after` anew; returns the last id, None when there were none.

    An article saved meanwhile was rendered by that and is left alone. `updated_at` stays: the author changed nothing.
    """
    last = None
    for article in stale_articles().filter(pk__gt=after)[:BATCH]:
        last = article.pk
        try:
            article.render()
        except Exception:
            logger.exception("article %s cannot be rendered", article.pk)
            continue
        keep_rendering(article)
        search.index_again(Article.objects.filter(pk=article.pk))
    return last


def rerender_comments(after: int) -> int | None:
    """The same for comments."""
    last = None
    for comment in stale_comments().filter(pk__gt=after)[: BATCH * 5]:
        last, body = comment.pk, comment.body
        try:
            comment.render()
        except Exception:
            logger.exception("comment %s cannot be rendered", comment.pk)
            continue
        Comment.objects.filter(pk=comment.pk, body=body).update(
            body_html=comment.body_html, rendered_with=comment.rendered_with
        )
    return last


@task()
@idempotent
def rerender(kind: str = "article", after: int = 0) -> int | None:
    """Render one batch of stale articles, later comments, and queue the next batch; returns the batch's last id.

    One batch a task, so that a worker that is told to stop has to finish only that.
    """
    last = rerender_articles(after) if kind == "article" else rerender_comments(after)
    if last is not None:
        rerender.enqueue(kind, last)
    elif kind == "article":
        rerender.enqueue("comment", 0)
    return last


def queue_rerendering() -> int:
    """Queue `rerender` if there is anything stale and no such task is waiting; returns how many texts are stale."""
    stale = stale_articles().count() + stale_comments().count()
    waiting = DBTaskResult.objects.ready().filter(task_path=rerender.module_path)
    if stale and not waiting.exists():
        rerender.enqueue()
    return stale


def reindex_articles(after: int) -> int | None:
    """Index a batch of articles with ids above `after` that are stale in the index; returns the last id or None."""
    batch = search.stale().filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:BATCH]
    last = None
    for pk in batch:
        last = pk
        try:
            search.index_again(Article.objects.filter(pk=pk))
        except Exception:
            logger.exception("article %s cannot be indexed", pk)
    return last


@task()
@idempotent
def reindex(after: int = 0) -> int | None:
    """Index one batch and queue the next; returns the batch's last id."""
    last = reindex_articles(after)
    if last is not None:
        reindex.enqueue(last)
    return last


def queue_reindexing() -> int:
    """Queue `reindex` if there is anything stale and no such task is waiting; returns how many articles are stale."""
    stale = search.stale().count()
    waiting = DBTaskResult.objects.ready().filter(task_path=reindex.module_path)
    if stale and not waiting.exists():
        reindex.enqueue()
    return stale
