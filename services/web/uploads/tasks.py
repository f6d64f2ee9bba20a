"""The background task that makes a picture's sizes."""

from __future__ import annotations

import io
import logging
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.dispatch import Signal
from django.utils import timezone
from django_tasks import task
from PIL import Image

from config.lost import idempotent
from uploads import files, sizes
from uploads.models import Picture

logger = logging.getLogger(__name__)

# Sent when a picture has its sizes, after that is committed: `picture`. Receivers bring the pages up to date.
picture_ready = Signal()

MOST_ATTEMPTS = 5
# One thread, and the speed at which a picture of 2560 x 1920 takes seconds, not a minute (docs/operations.md).
SAVING: dict[str, dict[str, Any]] = {
    "avif": {"format": "AVIF", "quality": 62, "speed": 8, "max_threads": 1},
    "webp": {"format": "WEBP", "quality": 80, "method": 4},
    "jpg": {"format": "JPEG", "quality": 82, "progressive": True, "optimize": True},
    "png": {"format": "PNG", "optimize": False, "compress_level": 6},
}


def encoded(image: Image.Image, extension: str) -> bytes:
    """`image` in the format of that extension."""
    buffer = io.BytesIO()
    image.save(buffer, **SAVING[extension])
    return buffer.getvalue()


def write_sizes(picture: Picture) -> None:
    """Write all sizes of `picture`; what is there is written over with the same. Raises OSError."""
    with Image.open(files.path_of(picture.name), formats=("JPEG", "PNG")) as original:
        original.load()
        image = original.convert("RGBA" if original.has_transparency_data else "RGB")
    made: tuple[int, Image.Image] | None = None
    for name, width, extension in sizes.files(picture.name, picture.width):
        if made is None or made[0] != width:
            height = max(1, round(picture.height * width / picture.width))
            same = width == picture.width
            made = width, image if same else image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
        files.write(name, encoded(made[1], extension))


@task()
@idempotent
def make_sizes(pk: int) -> str:
    """Make the sizes of a picture and bring the pages that show it up to date; returns what was done.

    It may run any number of times, and be killed at any moment: what is done is done again with the same result, and
    `queue_missing` finds what was not finished.
    """
    picture = Picture.objects.filter(pk=pk).first()
    if picture is None:
        return "gone"
    if picture.announced:
        return "done before"
    if picture.attempts >= MOST_ATTEMPTS:
        # Or a picture that ends its worker would do so for ever: it is queued again as soon as that is gone.
        return "given up"
    Picture.objects.filter(pk=pk).update(attempts=F("attempts") + 1, queued_at=timezone.now())
    if not picture.ready:
        try:
            write_sizes(picture)
        except OSError as error:
            if error.errno in files.NO_ROOM:
                # A full disk says nothing about the picture: `queue_missing` goes on trying.
                Picture.objects.filter(pk=pk).update(attempts=F("attempts") - 1)
            raise
        if not Picture.objects.filter(pk=pk).update(ready=True):
            files.remove(picture.name, picture.width)
            return "gone"
        picture.ready = True
    # After the commit: a text that was saved before it is found here, one that is saved after it knows the sizes.
    picture_ready.send(sender=Picture, picture=picture)
    Picture.objects.filter(pk=pk).update(announced=True)
    return "done"


def queue_missing() -> int:
    """Queue what a killed worker left undone; returns how many. What failed MOST_ATTEMPTS times is left: it was logged
    each time, and its original is shown.
    """
    late = timezone.now() - timedelta(minutes=15)
    found = Picture.objects.filter(announced=False, queued_at__lt=late, attempts__lt=MOST_ATTEMPTS)
    waiting = list(found.order_by("queued_at").values_list("pk", flat=True)[:100])
    for pk in waiting:
        Picture.objects.filter(pk=pk).update(queued_at=timezone.now())
        make_sizes.enqueue(pk)
    return len(waiting)
