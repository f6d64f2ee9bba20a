"""Which pictures may be somebody's avatar."""

from __future__ import annotations

import warnings

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.utils.translation import gettext_lazy as _
from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
LARGEST_BYTES = 2 * 1024 * 1024
LARGEST_PIXELS = 4096 * 4096


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
