"""Pictures for tests: files of every kind, and rows with their files."""

from __future__ import annotations

import io
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from accounts.models import User
from uploads import storing, tasks
from uploads.models import Picture


def content(kind: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **saving: Any) -> bytes:
    """A file of that format: a gradient, so that sizes and turns can be told apart."""
    buffer = io.BytesIO()
    image = Image.linear_gradient("L").resize(size).convert(mode)
    if mode == "RGBA":
        image.putalpha(100)
    image.save(buffer, kind, **saving)
    return buffer.getvalue()


def upload(data: bytes | None = None, name: str = "sea.png", **making: Any) -> SimpleUploadedFile:
    """What a browser sends."""
    return SimpleUploadedFile(name, content(**making) if data is None else data, "image/png")


def a_picture(owner: User, alt: str = "The sea", *, ready: bool = False, **making: Any) -> Picture:
    """A stored picture of `owner`, with its sizes if it is `ready`."""
    picture, _moved = storing.store(owner, upload(**making), alt)
    if ready:
        tasks.make_sizes.func(picture.pk)
        picture.refresh_from_db()
    return picture
