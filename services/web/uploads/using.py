"""Which pictures texts use: looked up when a text is rendered, noted when it is saved."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction

from uploads import sizes
from uploads.models import Picture, Use

if TYPE_CHECKING:
    from blog.models import Article, Autosave

MOST_IN_A_TEXT = 2000


def names_in(text: str) -> list[str]:
    """The names that pictures may have whose addresses, of whatever size, stand anywhere in `text`, each once."""
    if settings.MEDIA_URL not in text:
        return []
    stems = dict.fromkeys(match[0] for match in sizes.STEM.finditer(text))
    return [f"{stem}.{extension}" for stem in list(stems)[:MOST_IN_A_TEXT] for extension in sizes.ORIGINALS]


def pictures_in(text: str) -> dict[str, sizes.Shown]:
    """What is known of the pictures in `text`, by address. One query, none for a text without any."""
    names = names_in(text)
    found = Picture.objects.filter(name__in=names) if names else ()
    return {picture.url: sizes.Shown(picture.width, picture.height, tuple(picture.sources)) for picture in found}


def lock(names: list[str]) -> dict[str, int]:
    """Hold the pictures called so until the transaction ends, and return their ids by name.

    Neither are they cleaned away meanwhile, nor do their sizes become ready unseen.
    """
    held = Picture.objects.filter(name__in=names).order_by("pk").select_for_update(no_key=True)
    return dict(held.values_list("name", "pk")) if names else {}


def note_article(article: Article, held: dict[str, int]) -> None:
    """Note what the saved `article` uses of the pictures in `held` (by lock()).

    What its text used once stays used while the article is there: each text that was saved can be restored.
    """
    cover = held.get(str(article.cover.name))
    pks = [held[name] for name in names_in(article.body) if name in held]
    uses = [Use(picture_id=pk, article=article, role=Use.Role.TEXT) for pk in pks]
    if cover:
        uses.append(Use(picture_id=cover, article=article, role=Use.Role.COVER))
    Use.objects.filter(article=article, role=Use.Role.COVER).exclude(picture=cover).delete()
    if uses:
        Use.objects.bulk_create(uses, ignore_conflicts=True)


def note_autosave(unsaved: Autosave) -> None:
    """Note what an unsaved text uses now.

    It holds the pictures only by its foreign key, which does not wait for a save of the article that holds them too.
    One that was cleaned away this very moment is left out.
    """
    names = names_in(unsaved.body)
    pks = list(Picture.objects.filter(name__in=names).values_list("pk", flat=True)) if names else []
    unsaved.picture_uses.exclude(picture__in=pks).delete()
    uses = [Use(picture_id=pk, autosave=unsaved, role=Use.Role.UNSAVED) for pk in pks]
    if uses:
        with suppress(IntegrityError), transaction.atomic():
            Use.objects.bulk_create(uses, ignore_conflicts=True)
