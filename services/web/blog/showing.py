"""Brings articles up to date when a picture that they show has got its sizes."""

from __future__ import annotations

from typing import Any

from blog.models import Article
from blog.tasks import keep_rendering
from uploads.models import Picture, Use
from uploads.tasks import picture_ready


def show_sizes(picture: Picture, **_: Any) -> None:
    """Receiver: name the sizes of `picture` where it is a cover or stands in a text. `updated_at` stays.

    A text that was saved meanwhile was rendered with them and is left alone.
    """
    Article.objects.filter(picture_uses__in=Use.objects.filter(picture=picture, role=Use.Role.COVER)).filter(
        cover=picture.name
    ).update(cover_ready=True)
    texts = Article.objects.filter(picture_uses__in=Use.objects.filter(picture=picture, role=Use.Role.TEXT))
    for article in texts.order_by("pk").iterator(chunk_size=50):
        article.render()
        keep_rendering(article)


def connect() -> None:
    """Connect the receiver."""
    picture_ready.connect(show_sizes, sender=Picture, dispatch_uid="show_sizes")
