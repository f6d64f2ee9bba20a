"""Commenting on articles: floors, replies, and who sees what."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import User
from blog import counters
from blog.models import LONGEST_COMMENT, Article, Comment
from blog.text import clean_text


class CommentingError(Exception):
    """This comment may not be written; `code` says why: closed, unpublished, empty, long, parent."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@transaction.atomic
def comment(
    article: Article, author: User, body: str, parent: Comment | None = None, at: datetime | None = None
) -> Comment:
    """Write a comment by `author` on `article`, in reply to `parent` if given; `at` defaults to now.

    It gets the next floor of the article, whose row is locked meanwhile. Where the article's author approves first it
    is pending (unless it is the author's own) and counts only once visible. Raises CommentingError.
    """
    body = clean_text(body).strip()
    if not body:
        raise CommentingError("empty")
    if len(body) > LONGEST_COMMENT:
        raise CommentingError("long")
    locked = counters.lock(article.pk)
    if not locked.is_public:
        raise CommentingError("unpublished")
    if locked.comment_policy == Article.CommentPolicy.CLOSED:
        raise CommentingError("closed")
    if parent is not None and not Comment.objects.visible().filter(pk=parent.pk, article=locked).exists():
        raise CommentingError("parent")
    waits = locked.comment_policy == Article.CommentPolicy.APPROVE and author.pk != locked.author_id
    highest = Comment.objects.filter(article=locked).aggregate(floor=Max("floor"))["floor"] or 0
    written = Comment.objects.create(
        article=locked,
        author=author,
        parent=parent,
        floor=highest + 1,
        body=body,
        status=Comment.Status.PENDING if waits else Comment.Status.VISIBLE,
        created_at=at or timezone.now(),
    )
    counters.recount([locked.pk])
    return written


@transaction.atomic
def set_status(comment: Comment, status: Comment.Status) -> Comment:
    """Show, hide or delete `comment`; a deleted one keeps its floor and loses its text. Returns it as stored now."""
    counters.lock(comment.article_id)
    stored = Comment.objects.get(pk=comment.pk)
    stored.status = status
    if status == Comment.Status.DELETED:
        stored.body = stored.body_html = ""
    stored.save(update_fields=["status", "body", "body_html"])
    counters.recount([stored.article_id])
    return stored


@transaction.atomic
def edit(comment: Comment, body: str) -> Comment:
    """Replace the text of `comment`. Returns it as stored now. Raises CommentingError."""
    body = clean_text(body).strip()
    if not body:
        raise CommentingError("empty")
    if len(body) > LONGEST_COMMENT:
        raise CommentingError("long")
    stored = Comment.objects.select_for_update(of=("self",)).get(pk=comment.pk)
    stored.body = body
    stored.edited_at = timezone.now()
    stored.render()
    stored.save(update_fields=["body", "body_html", "rendered_with", "edited_at"])
    return stored
