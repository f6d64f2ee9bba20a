"""Which pictures may be somebody's avatar, and what is made of them."""

from __future__ import annotations

import io
import warnings

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
LARGEST_BYTES = 2 * 1024 * 1024
LARGEST_PIXELS = 4096 * 4096
SIDE = 256


def validate_avatar(picture: File) -> None:
    """Raise ValidationError unless `picture` decodes as JPEG, PNG or WebP of bearable size. Its name proves nothing."""
    if picture.size > LARGEST_BYTES:
        raise ValidationError(_("The picture is larger than 2 MB."), "size")
    try:
        picture.seek(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(picture, formats=FORMATS) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    raise ValidationError(_("The picture has more than 16 million pixels."), "pixels")
                image.load()
    except ValidationError:
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombWarning) as error:
        raise ValidationError(_("This is not a JPEG, PNG or WebP picture."), "format") from error
    except Image.DecompressionBombError as error:
        raise ValidationError(_("The picture has more than 16 million pixels."), "pixels") from error
    finally:
        picture.seek(0)


def make_avatar(picture: File) -> ContentFile:
    """A square WebP of SIDE pixels out of a picture that validate_avatar let pass: upright, without its metadata."""
    picture.seek(0)
    with Image.open(picture, formats=FORMATS) as image:
        upright = ImageOps.exif_transpose(image)
        square = ImageOps.fit(upright.convert("RGBA" if upright.has_transparency_data else "RGB"), (SIDE, SIDE))
    buffer = io.BytesIO()
    square.save(buffer, "WEBP", quality=85, method=4)
    return ContentFile(buffer.getvalue())
