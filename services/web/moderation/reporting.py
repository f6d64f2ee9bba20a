"""Reports: what can be reported, by whom, and what a moderator's decision does, once however many decide at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import Truncator

from accounts import suspending
from accounts.models import User
from blog import commenting, writing
from blog.models import Article, Comment
from moderation import audit
from moderation.models import Report

Target = Comment | Article | User


class ReportingError(Exception):
    """It cannot be done; `code` says why: own, again, handled, gone, forbidden."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


# --- What is reported


def readable(kind: str, pk: int) -> Target | None:
    """The object, if every reader can see it now."""
    if kind == Report.Kind.COMMENT:
        comments = Comment.objects.visible().select_related("author", "article__author")
        return comments.filter(pk=pk, article__in=Article.objects.published()).first()
    if kind == Report.Kind.ARTICLE:
        return Article.objects.published().select_related("author").defer("body", "body_html").filter(pk=pk).first()
    return User.objects.filter(pk=pk, is_active=True).first() if kind == Report.Kind.USER else None


def load(kind: str, ids: Iterable[int]) -> dict[int, Target]:
    """The objects of one kind that there are, in whatever status, by id. One query."""
    found: Any = {
        Report.Kind.COMMENT: Comment.objects.select_related("author", "article__author").defer(
            "article__body", "article__body_html"
        ),
        Report.Kind.ARTICLE: Article.objects.select_related("author").defer("body", "body_html"),
        Report.Kind.USER: User.objects.all(),
    }[Report.Kind(kind)]
    return {row.pk: row for row in found.filter(pk__in=list(ids))}


def responsible(target: Target | None) -> User | None:
    """Who wrote it, or the user it is."""
    return target if isinstance(target, User) or target is None else target.author


def title_of(target: Target | None) -> str:
    """A line that says what it is."""
    if isinstance(target, Comment):
        return Truncator(target.body or "–").chars(80)
    if isinstance(target, Article):
        return target.title
    return target.name if target is not None else "–"


# --- Reporting


def report(target: Target, kind: str, reporter: User, reason: str, text: str) -> Report:
    """Store that `reporter` finds something wrong with `target`. Raises ReportingError (own, again)."""
    author = responsible(target)
    if author is not None and author.pk == reporter.pk:
        raise ReportingError("own")
    try:
        with transaction.atomic():
            return Report.objects.create(
                kind=kind, target_id=target.pk, reporter=reporter, reason=reason, text=text.replace("\0", "")
            )
    except IntegrityError as error:
        raise ReportingError("again") from error


# --- Deciding


def take_away(target: Target | None, by: User) -> None:
    """Hide a comment, or make an article a draft again. Raises ReportingError (gone, forbidden)."""
    if isinstance(target, Comment):
        if not by.has_perm("moderation.hide_comment"):
            raise ReportingError("forbidden")
        if target.status != Comment.Status.DELETED:
            commenting.set_status(target, Comment.Status.HIDDEN, by=by)
    elif isinstance(target, Article):
        if not by.has_perm("moderation.unpublish_article"):
            raise ReportingError("forbidden")
        if target.status == Article.Status.PUBLISHED:
            writing.set_status(target, Article.Status.DRAFT)
            audit.record("article.unpublished", target, actor=by)
    else:
        raise ReportingError("gone")


@transaction.atomic
def resolve(
    kind: str, target_id: int, by: User, outcome: Report.Outcome, note: str = "", until: datetime | None = None
) -> int:
    """Decide on all open reports of an object, and do what that means; returns how many there were.

    Their rows are locked first: of two moderators at once the second finds none left. `until` is a suspension's end
    (None: for good). Raises ReportingError (handled, gone, forbidden), and then nothing has changed.
    """
    waiting = list(Report.objects.open().about(kind, target_id).select_for_update(of=("self",)).order_by("pk"))
    if not waiting:
        raise ReportingError("handled")
    target = load(kind, [target_id]).get(target_id)
    if outcome in (Report.Outcome.REMOVED, Report.Outcome.BOTH):
        take_away(target, by)
    if outcome in (Report.Outcome.SUSPENDED, Report.Outcome.BOTH):
        author = responsible(target)
        if author is None:
            raise ReportingError("gone")
        try:
            suspending.suspend(author, by, until, note)
        except suspending.SuspensionError as error:
            raise ReportingError("forbidden") from error
    note = note.replace("\0", "")
    Report.objects.filter(pk__in=[found.pk for found in waiting]).update(
        handled_at=timezone.now(), handled_by=by, outcome=outcome, note=note
    )
    detail = {"kind": kind, "id": target_id, "reports": len(waiting), "note": note}
    audit.record(f"report.{outcome.value}", target, actor=by, detail=detail)
    return len(waiting)


def reason_for_draft(article: Article) -> Report | None:
    """The decision that made `article` a draft, if a moderator did and it is one still."""
    if article.status != Article.Status.DRAFT or article.pk is None:
        return None
    return Report.objects.about(Report.Kind.ARTICLE, article.pk).removing().first()
