"""Commenting on articles: floors, replies, who may, and who sees what."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.dispatch import Signal
from django.utils import timezone

from accounts.models import User
from blog import counters
from blog.models import LONGEST_COMMENT, Article, Block, Comment
from blog.text import clean_text
from moderation import audit
from moderation.models import Report

# How long the writer of a comment may change it.
EDIT_WINDOW = timedelta(minutes=15)
# What a new status is called in the audit log.
RECORDED = {
    Comment.Status.VISIBLE: "comment.shown",
    Comment.Status.PENDING: "comment.hidden",
    Comment.Status.HIDDEN: "comment.hidden",
    Comment.Status.DELETED: "comment.deleted",
}

# Sent in the transaction that writes: `comment` is new, visible or waiting.
comment_written = Signal()
# Likewise: `comment`, which waited, may be read now; `by` is who approved it, if known.
comment_approved = Signal()


class CommentingError(Exception):
    """It may not be done; `code` says why: closed, unpublished, blocked, empty, long, parent, late, taken_away."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def checked(body: str) -> str:
    """`body` as it is stored. Raises CommentingError."""
    body = clean_text(body).strip()
    if not body:
        raise CommentingError("empty")
    if len(body) > LONGEST_COMMENT:
        raise CommentingError("long")
    return body


def is_blocked(reader: User, author_id: int) -> bool:
    """Whether that author does not let `reader` comment."""
    return Block.objects.filter(author=author_id, reader=reader).exists()


@transaction.atomic
def comment(
    article: Article,
    author: User,
    body: str,
    parent: Comment | None = None,
    at: datetime | None = None,
    key: UUID | None = None,
) -> Comment:
    """Write a comment by `author` on `article`, in reply to `parent` if given; `at` defaults to now.

    It gets the next floor of the article, whose row is locked meanwhile. Where the article's author approves first it
    is pending (unless it is the author's own) and counts only once visible. `key` is that of the form: the comment
    that a form has made already is returned as it is. Raises CommentingError.
    """
    body = checked(body)
    locked = counters.lock(article.pk)
    if key is not None and (made := Comment.objects.filter(author=author, form_key=key).first()):
        return made
    if not locked.is_public:
        raise CommentingError("unpublished")
    if locked.comment_policy == Article.CommentPolicy.CLOSED:
        raise CommentingError("closed")
    if is_blocked(author, locked.author_id):
        raise CommentingError("blocked")
    if parent is not None and not Comment.objects.visible().filter(pk=parent.pk, article=locked).exists():
        raise CommentingError("parent")
    highest = Comment.objects.filter(article=locked).aggregate(floor=Max("floor"))["floor"] or 0
    written = Comment.objects.create(
        article=locked,
        author=author,
        parent=parent,
        floor=highest + 1,
        body=body,
        status=Comment.Status.PENDING if waits(locked, author) else Comment.Status.VISIBLE,
        created_at=at or timezone.now(),
        form_key=key,
    )
    counters.recount([locked.pk])
    comment_written.send(sender=Comment, comment=written)
    return written


def waits(article: Article, author: User) -> bool:
    """Whether what `author` says on `article` has to be approved."""
    return article.comment_policy == Article.CommentPolicy.APPROVE and author.pk != article.author_id


def locked_comment(comment: Comment) -> Comment:
    """`comment` as it is now, with its article's row locked, and so no counter or other change under way."""
    article = counters.lock(comment.article_id)
    stored = Comment.objects.select_related("author", "parent__author").get(pk=comment.pk)
    stored.article = article
    return stored


def taken_away(comments: Iterable[Comment], by: User) -> frozenset[int]:
    """The ids of those that a moderator hid upon a report, and that `by`, who is none, may therefore not show again."""
    hidden = [comment.pk for comment in comments if comment.status == Comment.Status.HIDDEN]
    if not hidden or (by.is_staff and any(map(by.has_perm, ("blog.change_comment", "moderation.hide_comment")))):
        return frozenset()
    reports = Report.objects.filter(kind=Report.Kind.COMMENT, target_id__in=hidden).removing()
    return frozenset(reports.values_list("target_id", flat=True))


@transaction.atomic
def set_status(comment: Comment, status: Comment.Status, by: User | None = None) -> Comment:
    """Show, hide or delete `comment`; returns it as stored now. `by` is who does: the audit log keeps it.

    A deleted one keeps its floor, loses its text, and stays deleted whatever is asked of it. Raises CommentingError
    (taken_away) for one that only a moderator may show again.
    """
    stored = locked_comment(comment)
    approved = stored.status == Comment.Status.PENDING and status == Comment.Status.VISIBLE
    if stored.status in (Comment.Status.DELETED, status):
        return stored
    if by is not None and status == Comment.Status.VISIBLE and taken_away([stored], by):
        raise CommentingError("taken_away")
    stored.status = status
    if status == Comment.Status.DELETED:
        stored.body = stored.body_html = ""
    stored.save(update_fields=["status", "body", "body_html"])
    counters.recount([stored.article_id])
    if by is not None:
        audit.record("comment.approved" if approved else RECORDED[status], stored, actor=by)
    if approved:
        comment_approved.send(sender=Comment, comment=stored, by=by)
    return stored


def may_edit(comment: Comment, writer: User) -> bool:
    """Whether it is the writer's own and not too old."""
    return comment.author_id == writer.pk and timezone.now() < comment.created_at + EDIT_WINDOW


@transaction.atomic
def edit(comment: Comment, body: str, by: User | None = None) -> Comment:
    """Replace the text of `comment`, within EDIT_WINDOW if `by` is its writer (None: staff). Returns it as stored now.

    Where comments are approved first it waits again: what was approved is not what it says now. Raises CommentingError.
    """
    body = checked(body)
    stored = locked_comment(comment)
    if stored.status == Comment.Status.DELETED or (by is not None and not may_edit(stored, by)):
        raise CommentingError("late")
    if by is not None and is_blocked(by, stored.article.author_id):
        raise CommentingError("blocked")
    if body == stored.body:
        return stored
    stored.body = body
    stored.edited_at = timezone.now()
    if by is not None and stored.status == Comment.Status.VISIBLE and waits(stored.article, by):
        stored.status = Comment.Status.PENDING
    stored.render()
    stored.save(update_fields=["body", "body_html", "rendered_with", "edited_at", "status"])
    counters.recount([stored.article_id])
    return stored


@transaction.atomic
def block(author: User, reader: User) -> None:
    """Do not let `reader` comment on `author`'s articles any more. Raises ValueError for oneself."""
    if author.pk == reader.pk:
        raise ValueError("nobody blocks themselves")
    _block, is_new = Block.objects.get_or_create(author=author, reader=reader)
    if is_new:
        audit.record("user.blocked", reader, actor=author)


@transaction.atomic
def unblock(author: User, reader: User) -> None:
    """Let `reader` comment again. One who may is what was asked for."""
    deleted, _by_model = Block.objects.filter(author=author, reader=reader).delete()
    if deleted:
        audit.record("user.unblocked", reader, actor=author)
