"""Which pictures may be somebody's avatar, and what is made of them."""

from __future__ import annotations

import io
import secrets
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from PIL import ImageOps

from uploads import decoding, files

if TYPE_CHECKING:
    from accounts.models import User

# Sent by people whom the site does not know yet: less than a picture for a text may be.
LARGEST_BYTES = 2_000_000
LARGEST_PIXELS = 16_000_000
SIDE = 256


def validate_avatar(picture: File) -> None:
    """Raise ValidationError unless `picture` is one (uploads.decoding) of bearable size. Its name proves nothing."""
    # What is stored already is of our own making.
    if getattr(picture, "_committed", False):
        return
    decoding.decode(picture, largest_bytes=LARGEST_BYTES, largest_pixels=LARGEST_PIXELS, side=2 * SIDE)


def make_avatar(picture: File) -> ContentFile:
    """A square WebP of SIDE pixels out of a picture that validate_avatar let pass: upright, without its metadata.

    It is shown 24 to 96 pixels wide and weighs some kilobytes: it needs no further sizes. Its name is made up.
    """
    decoded = decoding.decode(picture, largest_bytes=LARGEST_BYTES, largest_pixels=LARGEST_PIXELS, side=4 * SIDE)
    buffer = io.BytesIO()
    ImageOps.fit(decoded.image, (SIDE, SIDE)).save(buffer, "WEBP", quality=85, method=4)
    return ContentFile(buffer.getvalue(), name=f"{secrets.token_hex(16)}.webp")


def store_avatar(user: User, picture: File) -> None:
    """Make `picture` the avatar of `user`, who is not saved. Raises ValidationError where the disk is full."""
    avatar = make_avatar(picture)
    try:
        with files.refused_without_room():
            user.avatar.save(str(avatar.name), avatar, save=False)
    except ValidationError:
        # Django leaves what it could write.
        user.avatar.storage.delete(user.avatar.field.generate_filename(user, str(avatar.name)))
        raise
