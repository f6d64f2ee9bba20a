"""Writing articles: saves that keep every earlier text and notice each other, the trash, and what was not saved yet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from blog.models import Article, ArticleTag, Autosave, Category, Revision, Tag
from blog.text import clean_line, folded
from uploads import storing, using
from uploads.models import Picture


@dataclass(frozen=True)
class Submission:
    """What a form sent: fields of the article with their clean values, and what belongs to it in other tables.

    `version` is the article's when the form was opened (0: a new one), `key` names the form of a new article, and `tab`
    the page, as in its autosaves.
    """

    values: dict[str, Any]
    tags: list[str] | None = None
    new_category: str = ""
    version: int = 0
    key: UUID | None = None
    note: str = ""
    tab: str = ""


class ConflictError(Exception):
    """Somebody, or another tab, has saved since this form was opened; `stored` is the article as it is now."""

    def __init__(self, stored: Article) -> None:
        super().__init__(stored.pk)
        self.stored = stored


# --- Saving


def checksum(title: str, body: str) -> str:
    """SHA-256 of a title and a text, in hexadecimal."""
    return hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()


@transaction.atomic
def save(article: Article, editor: User, sent: Submission) -> Article:
    """Store what `editor` sent for `article` (one that is not stored yet is new); returns it as stored now.

    A revision is written when the text changed. The same form sent twice changes nothing the second time. Raises
    ConflictError when another text was saved since the form was opened, and Article.DoesNotExist.
    """
    values = dict(sent.values)
    if sent.new_category:
        values["category"] = category_named(article.author, sent.new_category)
    elif values.get("category"):
        # It may be deleted at this moment: then the article has none, as all that were in it.
        kept = Category.objects.select_for_update(of=("self",), no_key=True).filter(pk=values["category"].pk)
        values["category"] = kept.first()
    if article._state.adding:
        try:
            with transaction.atomic():
                return create(article.author, editor, values, sent)
        except IntegrityError:
            # The form was sent before: what it made is there.
            article = Article.objects.get(author=article.author, form_key=sent.key)
    stored = Article.objects.select_for_update(of=("self",)).select_related("author").get(pk=article.pk)
    if values.get("status", stored.status) == Article.Status.PUBLISHED and not values.get("published_at", True):
        values["published_at"] = stored.published_at
    names = list(stored.article_tags.values_list("tag__name", flat=True))
    same_tags = sent.tags is None or [folded(name) for name in sent.tags] == [folded(name) for name in names]
    if same_tags and all(getattr(stored, name) == value for name, value in values.items()):
        keep_revision(stored, editor, sent.note)
    elif sent.version != stored.version:
        raise ConflictError(stored)
    else:
        # What was changed past this function, in the admin or before there were revisions, is kept first.
        keep_revision(stored, stored.author, at=stored.updated_at)
        for name, value in values.items():
            setattr(stored, name, value)
        stored.save()
        if sent.tags is not None and not same_tags:
            set_tags(stored, sent.tags)
        keep_revision(stored, editor, sent.note)
    forget_autosave(stored, editor, sent.tab)
    return stored


def create(author: User, editor: User, values: dict[str, Any], sent: Submission) -> Article:
    """The new article of a form. Raises IntegrityError when the form made one before."""
    created = Article(author=author, form_key=sent.key, **values)
    created.save()
    set_tags(created, sent.tags or [])
    keep_revision(created, editor, sent.note)
    Autosave.objects.filter(user=editor, article=None, tab=sent.tab).delete()
    return created


def keep_revision(article: Article, author: User, note: str = "", at: datetime | None = None) -> None:
    """Write the article's text as a revision, unless the newest one has the same text and nothing is noted."""
    digest = checksum(article.title, article.body)
    newest = article.revisions.order_by("-pk").values("checksum", "note").first()
    if newest and newest["checksum"] == digest and note in ("", newest["note"]):
        return
    article.revisions.create(
        author=author,
        title=article.title,
        body=article.body,
        checksum=digest,
        note=note,
        created_at=at or timezone.now(),
    )


def set_tags(article: Article, names: list[str]) -> None:
    """Give the article these tags, in this order."""
    ArticleTag.objects.filter(article=article).delete()
    ArticleTag.objects.bulk_create(ArticleTag(article=article, tag=Tag.objects.named(name)) for name in names)


def category_named(author: User, name: str) -> Category:
    """The author's category of that name in any case and width; made if there is none."""
    name = clean_line(name)
    category, _created = Category.objects.get_or_create(author=author, key=folded(name), defaults={"name": name})
    return category


def restore_revision(revision: Revision, editor: User, note: str) -> Article:
    """Make the text of `revision` the article's again; what it replaces stays a revision."""
    article = revision.article
    values = {"title": revision.title, "body": revision.body}
    with transaction.atomic():
        stored = Article.objects.select_for_update(of=("self",)).only("version").get(pk=article.pk)
        return save(article, editor, Submission(values, version=stored.version, note=note))


# --- The trash


@transaction.atomic
def set_status(article: Article, status: Article.Status) -> Article:
    """Move the article to the trash, or out of it as a draft; once there, again changes nothing."""
    stored = Article.objects.select_for_update(of=("self",)).get(pk=article.pk)
    if stored.status != status:
        stored.status = status
        stored.save()
    return stored


def trash(article: Article) -> Article:
    """Take the article away from readers and into the trash."""
    return set_status(article, Article.Status.TRASHED)


@transaction.atomic
def restore(article: Article) -> Article:
    """Take the article out of the trash. It comes back as a draft: what was thrown away is not published by the way."""
    stored = Article.objects.select_for_update(of=("self",)).get(pk=article.pk)
    return set_status(stored, Article.Status.DRAFT) if stored.status == Article.Status.TRASHED else stored


@transaction.atomic
def delete_for_good(article: Article) -> bool:
    """Delete an article that is in the trash, with its comments and history; returns whether it was there."""
    stored = Article.objects.select_for_update(of=("self",)).filter(pk=article.pk, status=Article.Status.TRASHED)
    return any(found.delete() for found in stored)


# --- Not saved yet


@dataclass(frozen=True)
class Autosaved:
    """What became of an autosave: whether it is kept, since when, the article's version now, and who else is at it."""

    kept: bool
    at: datetime
    version: int
    others: list[str] = field(default_factory=list)


@transaction.atomic
def autosave(article: Article | None, user: User, title: str, body: str, version: int, tab: str) -> Autosaved:
    """Keep what `user` has typed on page `tab`, apart from the article and its revisions.

    One text is kept a user and article. One that another page wrote stays, and this one is refused, until the user
    takes it up or discards it: two pages never overwrite each other. The row's lock puts them in order.
    """
    now = timezone.now()
    fresh = {"title": title, "body": body, "version": version, "tab": tab, "saved_at": now}
    row, created = Autosave.objects.select_for_update().get_or_create(user=user, article=article, defaults=fresh)
    kept = created or row.tab == tab or (row.title, row.body) == (title, body)
    if kept and not created:
        for name, value in fresh.items():
            setattr(row, name, value)
        row.save()
    if kept:
        using.note_autosave(row)
    others: list[str] = []
    current = 0
    if article is not None:
        current = Article.objects.values_list("version", flat=True).get(pk=article.pk)
        recent = Autosave.objects.filter(article=article, saved_at__gt=now - timedelta(minutes=2))
        others = [entry.user.name for entry in recent.exclude(user=user).select_related("user")]
    return Autosaved(kept, row.saved_at, current, others)


def unsaved(article: Article, user: User) -> Autosave | None:
    """What `user` typed into this article, or into a new one, and never saved; None for nothing that is not in it."""
    row = Autosave.objects.filter(user=user, article=None if article._state.adding else article).first()
    return row if row and (row.title, row.body) != (article.title, article.body) else None


def forget_autosave(article: Article, user: User, tab: str) -> None:
    """Delete the autosave of the page that has just saved, or one of the same text; another page's stays."""
    row = Autosave.objects.filter(user=user, article=article).first()
    if row and (row.tab == tab or (row.title, row.body) == (article.title, article.body)):
        row.delete()


def discard_autosave(article: Article | None, user: User) -> None:
    """Delete what `user` typed into this article, or into a new one, and never saved."""
    Autosave.objects.filter(user=user, article=article).delete()


@transaction.atomic
def take_picture_out(picture: Picture) -> None:
    """Delete `picture` with its files, whatever uses it: it is no cover any more, and texts show its description."""
    no_cover = {"cover": "", "cover_width": None, "cover_height": None, "cover_ready": False}
    Article.objects.filter(picture_uses__picture=picture, cover=picture.name).update(**no_cover)
    storing.remove(picture)
